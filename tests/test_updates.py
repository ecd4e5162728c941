"""What `copier update` promises: no release breaks a service, and an answer can be switched.

An update ends with the bytes of a new copy, except in the files that it skips. So nothing here
installs a service or runs its tests: `test_variants.py` does that with the copies, and equal files
have equal tests.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hooks.release import NEXT, releases
from hooks.resources import SAMPLES, resources
from hooks.variants import Variant, axes, questions, variants
from tests.conftest import Shell
from tests.projects import Projects, expect_updated, in_the_half, recorded, skipped, tree

# Neither defaults nor simple texts, to detect an answer that gets lost.
OWN: dict[str, Any] = {
    "project_name": 'Ada\'s "Shop" {{ 7*7 }}',
    "project_slug": "ada-shop",
    "description": 'It\'s: "more" \\ than a # line, 日本語 🚀',
    "author_name": 'Ada "the first" Lovelace',
    "author_email": "ada@example.com",
    "resources": resources(SAMPLES),
}
FIRST = next(iter(releases()))
DEFAULTS = {"project_slug": "my-service"}  # would follow the name


# Every variant comes from the newest release, and a third of them, in turn, from each one before.
NEWEST = [*releases()][-1]
STARTS = [
    pytest.param(release, variant, id=f"{release}-{variant.name}")
    for number, release in enumerate(releases())
    for place, variant in enumerate(variants())
    if release == NEWEST or (number + place) % 3 == 0
]
# Every two variants that differ in one answer, half of the times in either direction.
NEIGHBOURS = [
    (before, after)
    for before in filter(in_the_half, variants())
    for after in variants()
    if len(dict(before.answers.items() ^ after.answers.items())) == 1
]


def name(value: object) -> str | None:
    return value.name if isinstance(value, Variant) else None


@pytest.mark.parametrize(("release", "variant"), STARTS)
def test_an_update_from_a_release_equals_a_new_copy(
    projects: Projects, tmp_path: Path, release: str, variant: Variant
) -> None:
    answers = {**variant.answers, **OWN}
    project = projects.start(tmp_path / "project", release, answers)
    before = recorded(project)
    # Answer the questions that are new since the release.
    projects.update(project, {key: answers[key] for key in answers.keys() - before.keys()})
    expect_updated(project, projects.copy(release, answers), projects.copy(NEXT, answers))
    now = recorded(project)
    assert {key: now.get(key) for key in before} == before


@pytest.mark.parametrize(("before", "after"), NEIGHBOURS, ids=name)
def test_a_switched_answer_equals_a_new_copy(
    projects: Projects, tmp_path: Path, before: Variant, after: Variant
) -> None:
    samples = {"resources": resources(SAMPLES)}
    old, new = {**before.answers, **samples}, {**after.answers, **samples}
    project = projects.start(tmp_path / "project", NEXT, old)
    defaults = {axis: axes()[axis][0] for axis in before.answers.keys() - after.answers.keys()}
    projects.update(project, {**defaults, **after.answers})
    expect_updated(project, projects.copy(NEXT, old), projects.copy(NEXT, new))


@pytest.mark.parametrize("axis", axes())
def test_an_answer_is_switched_in_an_update_from_the_first_release(
    projects: Projects, tmp_path: Path, axis: str
) -> None:
    start = variants()[0].answers
    project = projects.start(tmp_path / "project", FIRST, start)
    switched = {axis: axes()[axis][-1]}
    projects.update(project, switched)
    expect_updated(project, projects.copy(FIRST, start), projects.copy(NEXT, {**start, **switched}))


@pytest.mark.parametrize("changed", OWN)
def test_a_changed_text_equals_a_new_copy(projects: Projects, tmp_path: Path, changed: str) -> None:
    project = projects.start(tmp_path / "project", NEXT, DEFAULTS)
    projects.update(project, {changed: OWN[changed]})
    expect_updated(
        project,
        projects.copy(NEXT, DEFAULTS),
        projects.copy(NEXT, {**DEFAULTS, changed: OWN[changed]}),
    )


def test_a_removed_text_equals_a_new_copy(projects: Projects, tmp_path: Path) -> None:
    answers = {**variants()[-1].answers, **OWN}
    project = projects.start(tmp_path / "project", NEXT, answers)
    untold = {"author_name": "", "author_email": ""}
    projects.update(project, untold)
    expect_updated(
        project, projects.copy(NEXT, answers), projects.copy(NEXT, {**answers, **untold})
    )


def test_a_slug_made_by_an_older_rule_is_kept(projects: Projects, tmp_path: Path) -> None:
    name = {"project_name": "Bücher"}
    project = projects.start(tmp_path / "project", FIRST, name)
    projects.update(project)
    assert recorded(project)["project_slug"] == "b-cher"
    assert recorded(projects.copy(NEXT, name))["project_slug"] == "bucher"


def test_own_answers_every_question_without_choices() -> None:
    assert OWN.keys() == questions().keys() - axes().keys()


# Files that no update touches --------------------------------------------------------------


@pytest.mark.parametrize("switched", [{}, {"database": "sqlite"}], ids=["update", "switch"])
@pytest.mark.parametrize("release", [FIRST, NEXT])
def test_rewritten_files_of_the_owner_are_unchanged(
    projects: Projects, tmp_path: Path, release: str, switched: dict[str, str]
) -> None:
    """Among them one that the release does not have: the owner's own AGENTS.md."""
    project = projects.start(tmp_path / "project", release)
    mine = "# Ours\n\nAsk Ada before you deploy.\n"
    for path in skipped():
        (project / path).write_text(mine, "utf-8")
    projects.commit(project)
    projects.update(project, switched)
    assert {(project / path).read_text("utf-8") for path in skipped()} == {mine}


def test_a_deleted_readme_comes_back(projects: Projects, tmp_path: Path) -> None:
    """The price of `_skip_if_exists`: Copier cannot tell that the owner deleted the file."""
    project = projects.start(tmp_path / "project", FIRST)
    (project / "README.md").unlink()
    projects.commit(project)
    projects.update(project)
    expect_updated(project, projects.copy(NEXT), projects.copy(NEXT))


# What a release has is kept ---------------------------------------------------------------


@pytest.mark.parametrize("release", releases())
def test_questions_and_values_of_a_release_are_kept(projects: Projects, release: str) -> None:
    then, now = projects.questionnaire(release), projects.questionnaire(NEXT)
    assert questions(then).keys() - questions(now).keys() == set()
    # Copier would silently replace a removed choice by the default.
    lost = {key: set(values) - set(axes(now).get(key, ())) for key, values in axes(then).items()}
    assert {key: values for key, values in lost.items() if values} == {}


@pytest.mark.parametrize("release", releases())
def test_paths_of_a_release_are_kept(projects: Projects, release: str) -> None:
    for variant in variants(projects.questionnaire(release)):
        then, now = both_copies(projects, release, variant)
        assert then.keys() - now.keys() == set(), variant.name


@pytest.mark.parametrize("release", releases())
def test_migrations_of_a_release_never_change(projects: Projects, release: str) -> None:
    for variant in variants(projects.questionnaire(release)):
        then, now = both_copies(projects, release, variant)
        migrations = [path for path in then if path.startswith("migrations/versions/")]
        assert migrations
        assert [path for path in migrations if then[path] != now.get(path)] == [], variant.name


def both_copies(
    projects: Projects, release: str, variant: Variant
) -> tuple[dict[str, tuple[int, bytes]], dict[str, tuple[int, bytes]]]:
    answers = {**variant.answers, **OWN}
    return tree(projects.copy(release, answers)), tree(projects.copy(NEXT, answers))


@pytest.mark.parametrize("release", releases())
def test_no_release_asks_for_trust(projects: Projects, release: str) -> None:
    settings = yaml.safe_load((projects.questionnaire(release) / "copier.yml").read_text("utf-8"))
    assert settings.keys() & {"_tasks", "_migrations", "_jinja_extensions"} == set()


# Renaming a question ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "default"),
    [
        ("crud", "{{ data_access if data_access is defined else 'repository' }}"),
        (
            "functions",
            "{{ {'crud': 'functions'}.get(data_access, data_access) if data_access is defined"
            " else 'repository' }}",
        ),
    ],
    ids=["the name", "the name and a value"],
)
def test_a_renamed_question_carries_its_answer_over(
    projects: Projects, shell: Shell, tmp_path: Path, value: str, default: str
) -> None:
    """The old answer is still in the context, so that the new default can take it.

    A value is renamed only with its question: Copier drops an answer that is no longer a choice
    before a default could read it.
    """
    template, newer = tmp_path / "template", f"{NEXT}.1"
    shell.git("clone", "--quiet", str(projects.template), str(template), cwd=tmp_path)
    document = yaml.safe_load((template / "copier.yml").read_text("utf-8"))
    document["data_access"] |= {"choices": ["repository", value], "default": default}
    document["uses_repositories"]["default"] = "{{ queries == 'repository' }}"
    renamed = {"queries" if key == "data_access" else key: each for key, each in document.items()}
    (template / "copier.yml").write_text(yaml.safe_dump(renamed, sort_keys=False), "utf-8")
    shell.git("commit", "--quiet", "--all", "--message", "Rename", cwd=template)
    shell.git("tag", newer, cwd=template)
    projects = Projects(tmp_path / "projects", shell, template)

    project = projects.start(tmp_path / "project", FIRST, {"data_access": "crud"})
    projects.update(project)

    old = projects.copy(FIRST, {"data_access": "crud"})
    expect_updated(project, old, projects.copy(newer, {"queries": value}))
    assert recorded(project)["queries"] == value
    assert "data_access" not in recorded(project)
