"""Whose each rendered file is: the table in CONTRIBUTING.md is true of all rendered paths."""

import re
from functools import cache

import pytest

from hooks.release import NEXT, releases
from hooks.variants import ROOT, Variant, variants
from tests.projects import Projects, skipped, tree

# How the last column of the table begins.
UNCHANGED, REPAIRED, SKIPPED = "nothing", "repairs", "skips"


@cache
def table() -> dict[str, list[str]]:
    """Return what a release does, and the paths with which it does so; `/` ends a folder."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    _, _, section = text.partition("## Whose file it is\n")
    section, _, _ = section.partition("\n## ")
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return {does: re.findall("`(.+?)`", paths) for paths, _whose, does in rows[2:]}


def is_in(path: str, patterns: list[str]) -> bool:
    return any(path.startswith(p) if p.endswith("/") else path == p for p in patterns)


def patterns_of(beginning: str) -> list[str]:
    (patterns,) = (paths for does, paths in table().items() if does.startswith(beginning))
    return patterns


def files(projects: Projects, version: str, variant: Variant) -> dict[str, bytes]:
    copy = projects.copy(version, variant.answers)
    return {path: content for path, (_, content) in tree(copy).items() if (copy / path).is_file()}


@pytest.mark.parametrize("variant", variants(), ids=lambda variant: variant.name)
def test_every_path_is_in_one_row(projects: Projects, variant: Variant) -> None:
    for path in files(projects, NEXT, variant):
        assert [is_in(path, patterns) for patterns in table().values()].count(True) <= 1, path


def test_every_pattern_matches_a_path(projects: Projects) -> None:
    paths = {path for variant in variants() for path in files(projects, NEXT, variant)}
    patterns = [pattern for row in table().values() for pattern in row]
    assert [p for p in patterns if not any(is_in(path, [p]) for path in paths)] == []


def test_all_other_paths_are_the_templates() -> None:
    assert [does for does, paths in table().items() if not paths] == ["keeps them current"]


def test_the_table_has_the_paths_that_copier_skips() -> None:
    assert patterns_of(SKIPPED) == skipped()


@pytest.mark.parametrize("release", releases())
def test_released_migrations_never_change(projects: Projects, release: str) -> None:
    for variant in variants(projects.questionnaire(release)):
        then, now = (files(projects, version, variant) for version in (release, NEXT))
        unchanged = [path for path in then | now if is_in(path, patterns_of(UNCHANGED))]
        assert unchanged
        changed = [path for path in unchanged if path in then and then[path] != now.get(path)]
        assert changed == [], variant.name


@pytest.mark.parametrize("release", releases())
@pytest.mark.parametrize("variant", variants(), ids=lambda variant: variant.name)
def test_examples_get_no_new_file(projects: Projects, release: str, variant: Variant) -> None:
    then, now = (files(projects, version, variant) for version in (release, NEXT))
    assert [p for p in now.keys() - then.keys() if is_in(p, patterns_of(REPAIRED))] == []
