"""The documentation: every page builds, every link leads somewhere, and what it says happens."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hooks.check import CACHES
from hooks.release import clone_with_releases
from hooks.render import render
from hooks.service import FOREIGN
from hooks.variants import variants
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
    """One of the two, because some messages are an engine's."""
    texts = set()
    for variant in (variants()[0], variants()[-1]):
        render(variant.answers, tmp_path / variant.name)
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
