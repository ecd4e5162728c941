"""The documentation site: `uv run sphinx-build docs site`, then open `site/index.html`.

Pages include code from services that are rendered for each build, so that no excerpt can differ
from what the template renders today.
"""

import shutil
from pathlib import Path

from sphinx.application import Sphinx

from hooks.render import render
from hooks.resources import resources
from hooks.variants import named

project = "copier-fastapi-sqlalchemy"
html_title = project
extensions = ["myst_parser", "sphinx_design"]
exclude_patterns = ["_rendered", "recipes/*/**"]
nitpicky = True

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
# 100 columns of code fit.
html_theme_options = {"light_css_variables": {"code-font-size": "var(--font-size--small--2)"}}
html_show_copyright = False
html_copy_source = False

# The resource of the tutorial, as its reader types it.
BOOKS = "books title:text:200 isbn:text:13:unique published:date:sort --access public"
# The same with queries in SQL by hand.
PAPERS = BOOKS.replace("books", "papers") + " --store sql"

# Each choice is in one of these, and the first two share none.
RENDERED = {
    "async-postgres-repository": ("async", "postgres", "repository", "none"),
    "sync-sqlite-crud": ("sync", "sqlite", "crud", "none"),
    "async-postgres-repository-rows": ("async", "postgres", "repository", "rows"),
}


def render_services(app: Sphinx) -> None:
    """Render the services whose files the pages include."""
    folder = Path(app.srcdir, "_rendered")
    shutil.rmtree(folder, ignore_errors=True)
    questions = ("concurrency", "database", "data_access", "tenancy")
    for name, values in RENDERED.items():
        answers = named(dict(zip(questions, values, strict=True)))
        render({**answers, "resources": resources([BOOKS, PAPERS])}, folder / name)


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", render_services)
