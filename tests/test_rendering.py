"""Every variant as it is rendered, before anything is installed."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
import yaml
from pytest_copie.plugin import Copie

from hooks.render import render
from hooks.variants import ROOT, Variant, questions, variants

TEMPLATE = ROOT / "template"
# `${{` is GitHub's, and `{{` before anything but a name is Python's.
JINJA = re.compile(r"(?<!\$)\{\{-? *\w|\{%|\{#")
UNPORTABLE = re.compile(r'["<>:|?*\\]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)


@pytest.fixture(scope="session", params=variants(), ids=lambda variant: variant.name)
def rendered(request: pytest.FixtureRequest, copie_session: Copie) -> Path:
    variant: Variant = request.param
    result = copie_session.copy(dict(variant.answers))
    assert result.exception is None
    assert result.answers.items() >= variant.answers.items()
    assert result.project_dir is not None
    return result.project_dir


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in files(folder)}


def text_files(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in files(folder):
        yield path, path.read_text("utf-8")


def ruff(*arguments: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def parse_all(folder: Path) -> None:
    """Read every file of a known format as the tools will."""
    for path, text in text_files(folder):
        match path.suffix:
            case ".py":
                compile(text, path, "exec")
            case ".yaml" | ".yml":
                assert list(yaml.safe_load_all(text)), path
            case ".toml":
                tomllib.loads(text)


def test_formatted(rendered: Path) -> None:
    ruff("format", "--check", folder=rendered)


def test_linted(rendered: Path) -> None:
    ruff("check", folder=rendered)


def test_every_file_parses(rendered: Path) -> None:
    parse_all(rendered)


def test_no_trace_of_jinja(rendered: Path) -> None:
    traces = [
        f"{path.relative_to(rendered)}:{number}: {line}"
        for path, text in text_files(rendered)
        for number, line in enumerate(text.splitlines(), start=1)
        if JINJA.search(line)
    ]
    assert traces == []


def test_nothing_is_empty(rendered: Path) -> None:
    empty = [
        path
        for path in rendered.rglob("*")
        if (not any(path.iterdir()) if path.is_dir() else not path.read_bytes().strip())
    ]
    assert empty == []


def test_no_scars_of_blank_lines(rendered: Path) -> None:
    for path, text in text_files(rendered):
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert not text.startswith("\n"), path
        assert "\r" not in text, path
        assert not re.search(r"[ \t]$", text, re.MULTILINE), path
        if path.suffix not in {".py", ".mako"}:  # where two blank lines are the style
            assert "\n\n\n" not in text, path


def test_names_are_portable(rendered: Path) -> None:
    names = [PurePosixPath(path.relative_to(rendered).as_posix()) for path in files(rendered)]
    assert [name for name in names if any(UNPORTABLE.search(part) for part in name.parts)] == []
    # Two that differ in their case are one on Windows and macOS.
    assert len({str(name).lower() for name in names}) == len(names)


def test_no_lock_file(rendered: Path) -> None:
    # It would conflict at every update; `uv run` writes it in the user's project.
    assert not list(rendered.rglob("uv.lock"))


def test_answers_round_trip(rendered: Path, tmp_path: Path) -> None:
    """What is recorded renders the same service again."""
    recorded = yaml.safe_load((rendered / ".copier-answers.yml").read_text("utf-8"))
    answers = {name: value for name, value in recorded.items() if not name.startswith("_")}
    assert answers.keys() == questions().keys()
    render(answers, tmp_path / "again")
    again, before = content(tmp_path / "again"), content(rendered)
    # The commit that is recorded for uncommitted work is a new one each time.
    assert again.pop(".copier-answers.yml")
    assert before.pop(".copier-answers.yml")
    assert again == before


# The template itself --------------------------------------------------------------------


def template_files() -> list[Path]:
    """What git would take: no cache that a tool has left there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "template"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_nothing_of_the_template_is_ignored_by_git() -> None:
    # A rendered `.gitignore` would rule over the template as well and hide files from a copy.
    hidden = subprocess.run(
        ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "template"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert [name for name in hidden if not re.search(r"__pycache__|\..*_cache", name)] == []


def test_paths_of_the_template_never_follow_an_answer() -> None:
    # A path that does would move when the answer changes, and leave the user's edits behind.
    for path in template_files():
        name = path.relative_to(TEMPLATE).as_posix()
        assert "{{" not in name
        assert not re.search(r'["<>:|?*\\]', name), name


def test_few_lines_carry_a_tag() -> None:
    lines = [line for path in template_files() for line in path.read_text("utf-8").splitlines()]
    tagged = [line for line in lines if "{%" in line]
    assert len(tagged) < 0.03 * len(lines), f"{len(tagged)} of {len(lines)} lines"


def test_only_files_that_need_jinja_are_jinja() -> None:
    for path in template_files():
        needs_jinja = bool(JINJA.search(path.read_text("utf-8")))
        assert (path.suffix == ".jinja") == needs_jinja, path


# Hostile answers ------------------------------------------------------------------------

HOSTILE = [
    'Say "hello"',
    "It's here",
    "\"both\" and 'both'",
    '"""',
    "'''",
    "back\\slash",
    "ends in a backslash\\",
    "\\N{BULLET} \\x41 \\u0041",
    "{{ 7*7 }}",
    "{% raw %}",
    "{# comment #}",
    "${{ github.token }}",
    "# not a comment",
    "🚀 Rocket",
    "w" * 60,
    '"' * 60,
    "': - yaml",
    "key: value",
    "- item",
    "&anchor *alias !tag",
    "%percent @at `tick`",
    "<b>&amp;",
    "[link](x) **bold** _it_ |",
    "$(touch pwned) `id`",
    "null",
    "123",
    "true",
    "日本語",
    "e\u0301 combining",
]


def titles(folder: Path) -> list[object]:
    """What the application is called: the literal that its constructor is given."""
    tree = ast.parse((folder / "app" / "main.py").read_text("utf-8"))
    return [
        ast.literal_eval(keyword.value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "title"
    ]


@pytest.mark.parametrize("variant", [variants()[0], variants()[-1]], ids=lambda each: each.name)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_rendered_exactly(tmp_path: Path, text: str, variant: Variant) -> None:
    folder = tmp_path / "service"
    hostile = {"project_name": text, "description": text, "author_name": text}
    render({**variant.answers, **hostile, "project_slug": "shop"}, folder)

    ruff("format", "--check", folder=folder)
    ruff("check", folder=folder)
    parse_all(folder)
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "shop"
    assert project["description"] == text
    assert project["authors"] == [{"name": text}]
    assert titles(folder) == [text]
    recorded = yaml.safe_load((folder / ".copier-answers.yml").read_text("utf-8"))
    assert recorded.items() >= hostile.items()
