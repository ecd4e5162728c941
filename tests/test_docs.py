"""The documentation: every page builds, every link leads somewhere, and what it says happens."""

import ast
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from hooks.check import CACHES, check_types, migrate, production
from hooks.databases import Databases
from hooks.release import clone_with_releases
from hooks.render import render
from hooks.resources import MONGODB_SAMPLES, SAMPLES, resources
from hooks.service import FOREIGN, Service
from hooks.variants import ROOT, variants
from tests.conftest import Shell
from tests.documentation import DOCS, Terminal, blocks

PAGES = sorted(page for page in DOCS.rglob("*.md") if "_rendered" not in page.parts)
# What a page may contain: shown as it is, made by Sphinx, or done by `Terminal`.
SHOWN = {"text"}
DONE = {"console", "diff", "{code-block} python"}
# One reader reads these one after the other, in one terminal.
SESSION = ["start.md", "tutorial.md", "update.md"]
# This one in a service of its own, by tests/test_docs_another_store.py.
ALONE = "another-store.md"

# Each is copied into a service of the variant that it is named after, with what all share.
RECIPES = sorted(folder.parent for folder in DOCS.glob("recipes/*/tests"))
SHARED = DOCS / "recipes" / "shared"


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Which includes links to pages and headings, and excerpts of code that is gone."""
    sphinx = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    done = subprocess.run(
        [*sphinx, "--doctree-dir", tmp_path / "doctrees", DOCS, tmp_path / "site"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert_offline(tmp_path / "site")


def assert_offline(site: Path) -> None:
    """Fail when a page would load anything from another server."""
    loads = re.compile(
        r"""<(?:script|img|iframe|link rel="stylesheet")[^>]*(?:src|href)="(http[^"]+)"""
    )
    for page in site.rglob("*.html"):
        assert loads.findall(page.read_text("utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_block_runs_or_says_why_not(page: Path) -> None:
    for block in blocks(page):
        runs = block.kind in DONE and page.name in {*SESSION, ALONE}
        made_by_sphinx = block.kind.startswith("{") and block.kind not in DONE
        if not (runs or made_by_sphinx or block.kind in SHOWN):
            assert block.reason_not_to_run, f"{block.place}: a test must run it"


def test_what_the_pages_say_happens(shell: Shell, folder: Path) -> None:
    clone_with_releases(folder / "copier-fastapi-sqlalchemy")
    environment = {
        name: value for name, value in shell.environment.items() if not FOREIGN.fullmatch(name)
    }
    environment["PATH"] += os.pathsep + str(Path(os.environ.get("UV", "uv")).parent)
    environment["MYPY_CACHE_DIR"] = str(CACHES / "tutorial")  # most of its time goes to packages
    with Terminal(folder / "copier-fastapi-sqlalchemy", environment) as terminal:
        for name in SESSION:
            for block in blocks(DOCS / name):
                if block.kind in DONE and not block.reason_not_to_run:
                    terminal.do(block)


def test_a_service_prints_each_message_of_the_faq(tmp_path: Path) -> None:
    """One of the three, because some messages are those of an engine, of tenants or of a store."""
    every_store = resources([*SAMPLES, *MONGODB_SAMPLES])
    [with_tenants] = [each for each in variants() if each.name == "async-postgres-crud-rows"]
    texts = set()
    for variant in (variants()[0], variants()[-1], with_tenants):
        render({**variant.answers, "resources": every_store}, tmp_path / variant.name)
        for path in (tmp_path / variant.name).rglob("*.py"):
            texts |= set(map(text_of, ast.walk(ast.parse(path.read_text("utf-8")))))
    headings = re.findall(
        r"^### `+ ?(.*?) ?`+$", (DOCS / "faq.md").read_text("utf-8"), re.MULTILINE
    )
    unknown = [
        heading
        for heading in headings
        if not any(
            re.fullmatch(re.escape(heading).replace("…", ".+"), text) for text in texts if text
        )
    ]
    assert headings
    assert unknown == []


def text_of(node: ast.AST) -> str | None:
    """Return a text of the code, with `…` for what is computed."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(text_of(part) or "…" for part in parts)
    return None


@pytest.mark.parametrize("recipes", RECIPES, ids=lambda folder: folder.name)
def test_the_recipes_work_in_a_service(
    databases: Databases, folder: Path, venv: Path, recipes: Path
) -> None:
    (variant,) = (each for each in variants() if each.name == recipes.name)
    render(variant.answers, folder)
    for change in sorted(recipes.glob("*.diff")):
        # A diff has the lines that matter, whose numbers change with each release.
        apply = ["git", "apply", "--unidiff-zero", "--recount", str(change)]
        done = subprocess.run(apply, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for files in (SHARED, recipes):
        copytree(files, folder, dirs_exist_ok=True, ignore=ignore_patterns("*.diff"))
    service = Service(folder, venv)
    service.run("sync")
    migrate(service, production(databases.new(variant)))
    service.run("run", "ruff", "format", "--check", ".")
    service.run("run", "ruff", "check", ".")
    check_types(service, f"recipes-{variant.name}")
    tests = sorted(f"tests/{each.name}" for each in (recipes / "tests").iterdir())
    service.run("run", "pytest", "--numprocesses", "0", *tests)


def test_the_picture_shows_what_the_readme_types() -> None:
    svg = (DOCS / "recording.svg").read_text("utf-8")
    shown = unescape(re.sub("<[^>]*>", " ", svg)).replace("\xa0", " ")
    readme = (ROOT / "README.md").read_text("utf-8")
    [commands] = re.findall(r"recording\.svg\)\n\n```sh\n(.*?)```", readme, re.DOTALL)
    for command in commands.splitlines():
        assert command in shown
    assert "http" not in re.sub(r'xmlns="[^"]*"|<!--.*?-->', "", svg)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "AGENTS.md", "SECURITY.md"])
def test_links_of_the_repository_lead_to_files(name: str) -> None:
    """Sphinx checks those of the pages."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text("utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []
