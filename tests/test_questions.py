"""Questions: defaults, validators, and which answers are recorded."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from pytest_copie.plugin import Copie

from hooks.render import render
from hooks.resources import SAMPLES, resources
from hooks.variants import ROOT, axes, questions
from tests.conftest import Shell

DEFAULTS = {
    "project_name": "My Service",
    "project_slug": "my-service",
    "description": "A FastAPI service.",
    "author_name": "",
    "author_email": "",
    "concurrency": "async",
    "database": "postgres",
    "data_access": "repository",
    "tenancy": "none",
    "resources": {},
}

REFUSED = [
    ("project_name", ""),
    ("project_name", " Padded "),
    ("project_name", "two\nlines"),
    ("project_name", "a\ttab"),
    ("project_name", "zero\u200bwidth"),
    ("project_name", "x" * 61),
    ("project_slug", ""),
    ("project_slug", "Not A Name"),
    ("project_slug", "under_score"),
    ("project_slug", "two--hyphens"),
    ("project_slug", "-edge"),
    ("project_slug", "edge-"),
    ("project_slug", "line\n"),
    ("project_slug", "../escape"),
    ("project_slug", "fastapi"),
    ("project_slug", "x" * 61),
    ("description", ""),
    ("description", "two\nlines"),
    ("description", "x" * 201),
    ("author_name", "two\nlines"),
    ("author_name", "x" * 101),
    ("author_email", "nobody"),
    ("author_email", "ada@example"),
    ("author_email", "ada lovelace@example.com"),
    ("author_email", 'ada"@example.com'),
    ("author_email", "ada@example.com\n"),
    ("concurrency", "asink"),
    ("database", "mysql"),
    ("data_access", "dao"),
    ("tenancy", "schemas"),
]


def test_defaults(copie: Copie) -> None:
    result = copie.copy()
    assert result.exception is None
    assert result.answers == DEFAULTS


@pytest.mark.parametrize("name", questions())
def test_every_question_has_a_help_text_and_a_default(name: str) -> None:
    question = questions()[name]
    assert question["help"].strip()
    # Without a default, `copier update --defaults` fails in every older project.
    assert "default" in question


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Shop", "shop"),
        ("  The Shop: 2nd Edition! ".strip(), "the-shop-2nd-edition"),
        ("snake_case and camelCase", "snake-case-and-camelcase"),
        ("🚀 Rocket 🚀", "rocket"),
        ("Café", "cafe"),
        ("Cafe\u0301", "cafe"),  # the accent is a character of its own
        ("Bücher", "bucher"),
        ("Straße", "strasse"),
        ("Œuvre & Łódź", "oeuvre-lodz"),
        ("İstanbul Yal\u0131", "istanbul-yali"),
        ("Tiếng Việt", "tieng-viet"),
        ("日本", "my-service"),
        ("Ελληνικά", "my-service"),
        ("ß" * 60, "s" * 60),
        ('"; DROP TABLE', "drop-table"),
        ("x" * 60, "x" * 60),
    ],
)
def test_the_slug_is_made_from_the_name(copie: Copie, name: str, slug: str) -> None:
    result = copie.copy({"project_name": name})
    assert result.exception is None
    assert result.answers["project_slug"] == slug


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_bad_answers_are_refused_in_one_line(
    shell: Shell, tmp_path: Path, name: str, value: str
) -> None:
    copy = ("copy", "--defaults", "--vcs-ref", "HEAD", "--data", f"{name}={value}")
    done = shell.copier(*copy, str(ROOT), "service", cwd=tmp_path)
    assert done.returncode == 1
    line = done.stderr.rstrip().splitlines()[-1]
    if name in axes():
        assert line.startswith(f"ValueError: Invalid choice for '{name}'")
        assert all(repr(choice) in line for choice in axes()[name])
    else:
        assert line.startswith(f"ValueError: Validation error for question '{name}': Type ")
        assert line.endswith(".")
    assert list(tmp_path.iterdir()) == []


def test_every_validator_and_every_choice_has_a_refused_answer() -> None:
    limited = {
        name
        for name, question in questions().items()
        if "validator" in question or "choices" in question
    }
    # `test_resources.py` has what is refused as a resource.
    assert limited == {name for name, _ in REFUSED} | {"resources"}


@pytest.mark.parametrize("name", questions())
def test_every_answer_changes_what_is_rendered(tmp_path: Path, name: str) -> None:
    samples = {
        "author_email": "ada@example.com",
        "project_slug": "other-name",
        "resources": resources(SAMPLES),
    }
    other = axes()[name][1] if name in axes() else samples.get(name, "Something Else")
    # Fix the slug, which would follow the name.
    render({"project_slug": "my-service"}, tmp_path / "before")
    render({"project_slug": "my-service", name: other}, tmp_path / "after")
    assert content(tmp_path / "before") != content(tmp_path / "after")


def content(folder: Path) -> dict[str, bytes]:
    """Return all files except the answers file."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".copier-answers.yml"
    }


def test_derived_answers_are_not_recorded(copie: Copie) -> None:
    result = copie.copy()
    assert result.project_dir is not None
    recorded = yaml.safe_load((result.project_dir / ".copier-answers.yml").read_text("utf-8"))
    assert recorded.keys() == questions().keys() | {"_src_path", "_commit"}


def test_the_template_needs_no_trust() -> None:
    # After one release with any of them, every update of its projects needs `--trust`.
    settings = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
    assert settings.keys().isdisjoint({"_tasks", "_migrations", "_jinja_extensions"})
    assert "_external_data" not in settings


def test_copy_and_update_need_no_trust(
    shell: Shell, template: Path, release: Callable[[str], None], tmp_path: Path
) -> None:
    release("v0.1.0")
    done = shell.copier("copy", "--defaults", str(template), "service", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    service = tmp_path / "service"
    shell.git("init", "--quiet", cwd=service)
    shell.git("add", "--all", cwd=service)
    shell.git("commit", "--quiet", "--message", "Start", cwd=service)

    changed = template / "template" / "app" / "__init__.py"
    changed.write_text(changed.read_text("utf-8") + "# New in the next release.\n", "utf-8")
    release("v0.2.0")
    done = shell.copier("update", "--defaults", cwd=service)

    assert done.returncode == 0, done.stderr
    assert (service / "app" / "__init__.py").read_bytes() == changed.read_bytes()
    # Copier exits with 0 even when there are conflicts.
    assert shell.git("ls-files", "--unmerged", cwd=service) == ""
    assert list(service.rglob("*.rej")) == []
    assert shell.git("diff", "--name-only", "HEAD", cwd=service).split() == [
        ".copier-answers.yml",
        "app/__init__.py",
    ]
