"""Every variant as it is rendered, before anything is installed."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pathlib import Path, PurePosixPath

import pytest
import yaml
from pytest_copie.plugin import Copie

from hooks.release import NEXT
from hooks.render import render
from hooks.resources import SAMPLES, resources
from hooks.variants import ROOT, Variant, asked, variants
from tests.conftest import (
    COVERED,
    COVERED_WITHOUT_ORDERS,
    FOR_ALL_OF_A_DRIVER,
    SAME_FOR_A_DRIVER,
    SAME_IN_TWINS,
    TOOLS,
)
from tests.projects import Projects, in_the_half

TEMPLATE = ROOT / "template"
# The folders that are rendered: `template/` file by file, the others by what includes them.
INCLUDED = ("databases", "tenancy")
RENDERED = ("template", *INCLUDED)
# Copier makes a folder for each of the resources of `app new`.
RESOURCE = "{% yield resource from rendered_resources %}{{ resource.plural }}{% endyield %}"
# `${{` belongs to GitHub, and `{{` before anything but a name to Python.
JINJA = re.compile(r"(?<!\$)\{\{-? *['\w]|\{%|\{#")
UNPORTABLE = re.compile(r'["<>:|?*\\]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)


@pytest.fixture(
    scope="session",
    params=[(variant, samples) for variant in variants() for samples in ((), SAMPLES)],
    ids=lambda param: param[0].name + ("-samples" if param[1] else ""),
)
def rendered(request: pytest.FixtureRequest, copie_session: Copie) -> Path:
    """Render a variant, without resources of `app new` and with one of each kind."""
    variant, samples = request.param
    result = copie_session.copy({**variant.answers, "resources": resources(samples)})
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
    """Parse every file whose format is known."""
    for path, text in text_files(folder):
        parse(path.suffix, text)


# Most texts are the same in several variants.
@cache
def parse(suffix: str, text: str) -> None:
    match suffix:
        case ".py":
            compile(text, text, "exec")
        case ".yaml" | ".yml":
            assert list(yaml.safe_load_all(text)), text
        case ".toml":
            tomllib.loads(text)


def test_rendered_code_is_formatted(rendered: Path) -> None:
    ruff("format", "--check", folder=rendered)


def test_rendered_code_is_linted(rendered: Path) -> None:
    ruff("check", folder=rendered)


@pytest.mark.parametrize(
    "variant", [each for each in variants() if in_the_half(each)], ids=lambda variant: variant.name
)
def test_tests_that_only_one_of_two_twins_runs_are_equal(
    variant: Variant, projects: Projects
) -> None:
    data_access = {"repository": "crud", "crud": "repository"}[variant.answers["data_access"]]
    first, second = (
        content(projects.copy(NEXT, answers) / "tests")
        for answers in (variant.answers, {**variant.answers, "data_access": data_access})
    )
    assert {name: first.get(name) for name in SAME_IN_TWINS} == {
        name: second.get(name) for name in SAME_IN_TWINS
    }


def test_tests_that_one_variant_of_a_driver_runs_are_equal(projects: Projects) -> None:
    drivers: dict[tuple[str, str], list[Variant]] = {}
    for variant in variants():
        driver = variant.answers["concurrency"], variant.answers["database"]
        drivers.setdefault(driver, []).append(variant)

    for alike in drivers.values():
        assert [each.name in FOR_ALL_OF_A_DRIVER for each in alike].count(True) == 1
        texts = [content(projects.copy(NEXT, each.answers) / "tests") for each in alike]
        for name in SAME_FOR_A_DRIVER:
            assert len({each.get(name) for each in texts}) == 1, name


def test_tests_that_only_two_variants_run_are_theirs(projects: Projects) -> None:
    texts = {
        variant.name: content(projects.copy(NEXT, variant.answers) / "tests")
        for variant in variants()
    }
    assert {*TOOLS, *SAME_FOR_A_DRIVER, *SAME_IN_TWINS} <= set().union(*texts.values())
    for name in TOOLS:
        those_that_run = {texts[run].get(name) for run in (COVERED, COVERED_WITHOUT_ORDERS)}
        assert {each.get(name) for each in texts.values()} == those_that_run


def test_every_file_parses(rendered: Path) -> None:
    parse_all(rendered)


def test_no_jinja_is_left(rendered: Path) -> None:
    traces = [
        f"{path.relative_to(rendered)}:{number}: {line}"
        for path, text in text_files(rendered)
        for number, line in enumerate(text.splitlines(), start=1)
        if JINJA.search(line)
    ]
    assert traces == []


def test_no_parentheses_are_redundant(rendered: Path) -> None:
    """Ruff allows those that `({{ await_ }}client.get("/")).status_code` leaves without `await`."""
    assert [
        f"{path.relative_to(rendered)}:{line}"
        for path, text in text_files(rendered)
        if path.suffix == ".py"
        for line in redundant_parentheses(text)
    ] == []


@cache
def redundant_parentheses(text: str) -> list[str]:
    lines = [line.encode() for line in text.splitlines()]
    return [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute | ast.Subscript)
        if isinstance(node.value, ast.Call | ast.Attribute | ast.Subscript | ast.Name)
        if rest_after(node.value, lines).startswith(b")")
    ]


def rest_after(node: ast.expr, lines: list[bytes]) -> bytes:
    """Return the rest of the line on which an expression ends."""
    assert node.end_lineno
    return lines[node.end_lineno - 1][node.end_col_offset :].lstrip()


def test_models_with_a_tenant_are_those_without(copie_session: Copie) -> None:
    """They are two bodies: a column that one of them lacks is forgotten."""

    def fields(folder: Path) -> dict[str, list[str]]:
        return {
            f"{path.parent.name}: {node.name}": [
                f"{field.target.id}: {ast.unparse(field.annotation)}"
                for field in node.body
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            ]
            for path in folder.glob("app/*/models.py")
            for node in ast.parse(path.read_text("utf-8")).body
            if isinstance(node, ast.ClassDef) and path.parent.name != "tenants"
        }

    without, with_tenants = (
        copie_session.copy({"tenancy": tenancy, "resources": resources(SAMPLES)}).project_dir
        for tenancy in ("none", "rows")
    )
    assert without
    assert with_tenants
    assert len(fields(without)) >= 6
    assert fields(with_tenants) == fields(without)


def test_no_command_needs_a_single_head(rendered: Path) -> None:
    """A project with migrations of its own has two heads when a release brings one."""
    needs = re.compile(r"""\b(upgrade|stamp)\b\W+head\b|upgrade\(.*"head"|get_current_head""")
    assert [
        f"{path.relative_to(rendered)}: {line}"
        for path, text in text_files(rendered)
        # What says that it is refused.
        if path.name != "test_migrations.py"
        for line in text.splitlines()
        if needs.search(line)
    ] == []


def test_no_file_or_folder_is_empty(rendered: Path) -> None:
    empty = [
        path
        for path in rendered.rglob("*")
        if (not any(path.iterdir()) if path.is_dir() else not path.read_bytes().strip())
    ]
    assert empty == []


def test_blank_lines_and_line_ends_are_clean(rendered: Path) -> None:
    for path, text in text_files(rendered):
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert not text.startswith("\n"), path
        assert "\r" not in text, path
        assert not re.search(r"[ \t]$", text, re.MULTILINE), path
        if path.suffix not in {".py", ".mako"}:  # their style is two blank lines
            assert "\n\n\n" not in text, path


def test_names_are_portable(rendered: Path) -> None:
    names = [PurePosixPath(path.relative_to(rendered).as_posix()) for path in files(rendered)]
    assert [name for name in names if any(UNPORTABLE.search(part) for part in name.parts)] == []
    # Names that differ only in case are one file on Windows and macOS.
    assert len({str(name).lower() for name in names}) == len(names)


def test_no_lock_file_is_rendered(rendered: Path) -> None:
    # It would conflict in every update; `uv run` writes it in the user's project.
    assert not list(rendered.rglob("uv.lock"))


def test_recorded_answers_render_the_same_service(rendered: Path, tmp_path: Path) -> None:
    recorded = yaml.safe_load((rendered / ".copier-answers.yml").read_text("utf-8"))
    answers = {name: value for name, value in recorded.items() if not name.startswith("_")}
    assert answers.keys() == asked(answers)
    render(answers, tmp_path / "again")
    again, before = content(tmp_path / "again"), content(rendered)
    # Copier records a new commit each time for uncommitted work.
    assert again.pop(".copier-answers.yml")
    assert before.pop(".copier-answers.yml")
    assert again == before


def test_every_setting_is_documented_and_reaches_the_container(rendered: Path) -> None:
    tree = ast.parse((rendered / "app" / "settings.py").read_text("utf-8"))
    settings = {
        field.target.id.upper()
        for class_ in tree.body
        if isinstance(class_, ast.ClassDef)
        for field in class_.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
    assert "DATABASE_URL" in settings
    example = (rendered / ".env.example").read_text("utf-8")
    assert settings - set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)) == set()
    compose = yaml.safe_load((rendered / "compose.yaml").read_text("utf-8"))
    # The database of compose.yaml is not behind PgBouncer.
    assert settings - compose["services"]["api"]["environment"].keys() <= {"PGBOUNCER"}


def test_the_readme_names_every_module(rendered: Path) -> None:
    modules = {path.name for path in (rendered / "app").glob("*.py")} - {"__init__.py"}
    for name in ("README.md", "AGENTS.md"):
        named = modules_in((rendered / name).read_text("utf-8"))
        assert named - {path.name for path in rendered.rglob("*.py")} == set(), name
    assert modules - modules_in((rendered / "README.md").read_text("utf-8")) == set()


def test_our_readme_names_modules_that_exist(rendered: Path) -> None:
    _, _, section = (ROOT / "README.md").read_text("utf-8").partition("## What you get")
    named = modules_in(section.partition("## ")[0]) - {"repository.py", "crud.py"}
    assert named - {path.name for path in rendered.rglob("*.py")} == set()


def modules_in(text: str) -> set[str]:
    return set(re.findall(r"\w+\.py\b", text))


# The template itself --------------------------------------------------------------------


def template_files() -> list[Path]:
    """Return the files that git knows or would add: no caches of tools."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *RENDERED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_git_ignores_no_file_of_the_template() -> None:
    # A `.gitignore` in the template would apply to the template itself, and hide files from a copy.
    hidden = subprocess.run(
        ["git", "ls-files", "--others", "--ignored", "--exclude-standard", *RENDERED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert [name for name in hidden if not re.search(r"__pycache__|\..*_cache", name)] == []


def test_paths_contain_no_answer() -> None:
    # The file would move when the answer changes, and lose the user's edits. The name of a resource
    # never changes.
    for path in template_files():
        name = path.relative_to(ROOT).as_posix().replace(RESOURCE, "")
        assert "{{" not in name
        assert not re.search(r'["<>:|?*\\]', name), name


def test_few_lines_carry_jinja() -> None:
    code = [path for path in template_files() if path.suffix != ".txt"]
    # The files of a resource repeat its name, which is an expression, and loop over its fields.
    written = [path for path in code if RESOURCE in path.as_posix()]
    assert written
    assert share(code, "{%") < 0.03
    assert share(written, "{%") < 0.22
    others = [path for path in code if path not in written]
    assert share(others, "{%") < 0.02
    assert share(others, JINJA) < 0.08


def share(files: list[Path], pattern: str | re.Pattern[str]) -> float:
    lines = [line for path in files for line in path.read_text("utf-8").splitlines()]
    return sum(bool(re.search(pattern, line)) for line in lines) / len(lines)


def test_exactly_the_files_with_jinja_are_named_so() -> None:
    for path in template_files():
        # An included body is always rendered.
        needs_jinja = bool({*INCLUDED} & {*path.parts}) or bool(
            JINJA.search(path.read_text("utf-8"))
        )
        assert (path.suffix == ".jinja") == needs_jinja, path


def test_each_file_has_one_body() -> None:
    # A file that differs by database is one `include`, without a condition in its path.
    names = [
        re.sub(r"\{%.*?%\}", "", path.relative_to(ROOT).as_posix()) for path in template_files()
    ]
    assert len(set(names)) == len(names)


def test_every_body_is_included() -> None:
    bodies = {path for path in template_files() if {*INCLUDED} & {*path.parts}}
    include = re.compile(r'pathjoin\("(?:databases|tenancy)", [\w"]+, "(.+?)"(.*?)\)')
    included = set()
    for path in template_files():
        for name, more in include.findall(path.read_text("utf-8")):
            # More: the name is a folder, with a body per answer to `concurrency`.
            included |= {
                body
                for body in bodies
                if (body.parent if more else body).as_posix().endswith(f"/{name}")
            }
    assert included == bodies


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
    """Return the titles that the application's constructor gets as literals."""
    tree = ast.parse((folder / "app" / "main.py").read_text("utf-8"))
    return [
        ast.literal_eval(keyword.value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "title"
    ]


@pytest.mark.parametrize(
    ("text", "variant"),
    [*zip(HOSTILE, cycle(variants()), strict=False)],
    ids=lambda each: each.name if isinstance(each, Variant) else each,
)
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
