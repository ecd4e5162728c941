"""`app new`, `app field` and `app remove`, with a small template in place of the service's own."""

import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from errno import EACCES, ENOSPC
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import typer
import uvicorn
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Integer, Table
from typer.testing import CliRunner, Result
from uvicorn.supervisors import ChangeReload

from app import cli, development, new
from app.models import Base
from app.revisions import read
from tests import database

YIELD = "[% yield resource from rendered %][[ resource ]][% endyield %]"
TEMPLATE = {
    "copier.yml": """
        _subdirectory: template
        _envops:  # this file is no template
          block_start_string: "[%"
          block_end_string: "%]"
          variable_start_string: "[["
          variable_end_string: "]]"
          trim_blocks: true
          lstrip_blocks: true
        _exclude:
          - |
            [% if only %]
            *
            !/.copier-answers.yml
            !/app/[[ only ]]/
            !/tests/[[ only ]]/
            !/app/zoo.py
            !/shared.txt
            !/same.txt
            [% endif %]
        only: {type: str, default: "", when: false}
        resources:
          type: yaml
          ask: false
          default: {}
          validator: "[% if 'bad' in resources | string %]Type a better field.[% endif %]"
        rendered:
          type: yaml
          default: "[[ ([only] if only in resources else []) | to_json ]]"
          when: false
        uses_sql:
          type: bool
          default: "[[ 'sql' in resources.values() | map(attribute='store', default='orm') ]]"
          when: false
        """,
    "template/app/[% if uses_sql %]zoo.py[% endif %]": "# What the store needs.\n",
    "template/same.txt": "Whatever the store.\n",
    "template/shared.txt.jinja": "Of all.\n[[ 'Of the store.\n' if uses_sql ]]",
    "template/.copier-answers.yml.jinja": "[[ _copier_answers | to_nice_yaml ]]",
    f"template/app/{YIELD}/__init__.py": "",
    f"template/app/{YIELD}/models.py.jinja": """
        from sqlalchemy.orm import Mapped

        from app.models import Base, PrimaryKey


        class Zebra(Base):
            __tablename__ = "[[ resource ]]"

            id: Mapped[PrimaryKey]
        [% for field in resources[resource].fields %]
            [[ field.partition(":")[0] ]]: Mapped[str | None]
        [% endfor %]
        """,
    f"template/tests/{YIELD}/test_it.py": "# A test.\n",
}


def git(*arguments: str, cwd: Path) -> str:
    options = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "gc.auto=0")
    command = ["git", *options, *arguments]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    for name, text in TEMPLATE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(text).lstrip())
    git("init", "--quiet", cwd=folder)
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "--message", "1.0", cwd=folder)
    git("tag", "1.0", cwd=folder)
    return folder


@pytest.fixture
def root(
    tmp_path: Path, template: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Make a service from that template: the code of this one, in a folder of its own."""
    for name in ("app", "migrations"):
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(development.ROOT / name, tmp_path / name, ignore=without)
    shutil.copy(development.ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    answers = f"_commit: '1.0'\n_src_path: {template}\nresources: {{}}\n"
    (tmp_path / new.ANSWERS).write_text(answers)
    monkeypatch.setattr(development, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)  # without the developer's .env
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # of the code in that folder
    return tmp_path


@pytest.fixture
def with_database(root: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give that service a database of its own, and its migrations a single head."""
    monkeypatch.setenv("DATABASE_URL", url)
    config = database.alembic_config(url)
    if len(ScriptDirectory.from_config(config).get_heads()) > 1:  # not merged after an update
        command.merge(config, "heads")
        command.upgrade(config, "heads")
    return root


@pytest.fixture
def with_zebras(with_database: Path, template: Path) -> Path:
    """Make a service that has written zebras; its database does not know them yet."""
    (with_database / new.ANSWERS).write_text(
        f"_commit: '1.0'\n_src_path: {template}\n"
        "resources:\n  zebras: {singular: zebra, fields: ['title:text']}\n"
    )
    for path in new.paths_of("zebras"):
        (with_database / path).mkdir()
    text = dedent(TEMPLATE[f"template/app/{YIELD}/models.py.jinja"]).lstrip()
    before, _, _ = text.replace("[[ resource ]]", "zebras").partition("[% for")
    (with_database / "app/zebras/__init__.py").touch()
    (with_database / "app/zebras/models.py").write_text(before + "    title: Mapped[str | None]\n")
    return with_database


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


def content(root: Path) -> dict[Path, bytes]:
    files = [path for path in root.rglob("*") if path.is_file()]
    caches = {"__pycache__", ".ruff_cache"}
    return {path: path.read_bytes() for path in files if caches.isdisjoint(path.parts)}


@pytest.fixture
def unchanged(root: Path) -> Iterator[None]:
    """After the test, every file is as it was, and there is no other."""
    before = content(root)
    yield
    assert content(root) == before


def assert_refused(result: Result, *texts: str) -> None:
    assert result.exit_code == 1, result.output
    [line] = result.output.splitlines()
    assert all(text in line for text in texts), line


def test_a_resource_is_written_on_the_development_database(
    with_database: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setattr(development, "DATA", folder / "development")
    (with_database / "app/zebras/__pycache__").mkdir(parents=True)  # as `git clean` leaves it
    before = content(with_database)

    result = run("new", "zebras", "title:text", "parent:zebras:optional")

    assert result.exit_code == 0, result.output
    added = content(with_database).keys() - before.keys()
    [migration] = [path for path in added if path.parent.name == "versions"]
    assert {str(path.relative_to(with_database)) for path in added - {migration}} == {
        "app/zebras/__init__.py",
        "app/zebras/models.py",
        "tests/zebras/test_it.py",
    }
    assert "create_table(\n" in migration.read_text()
    assert "title:text" in (with_database / new.ANSWERS).read_text()
    assert result.output.splitlines() == [
        "Wrote app/zebras/ and tests/zebras/: one is zebra.",
        f"Wrote migrations/versions/{migration.name}",
        "Read the migration, then: uv run alembic upgrade heads && uv run pytest",
    ]
    changed = {path for path in before if before[path] != path.read_bytes()}
    assert changed == {with_database / new.ANSWERS}


def test_fields_are_merged_into_edited_code(with_zebras: Path) -> None:
    models = with_zebras / "app/zebras/models.py"
    models.write_text("# Mine.\n" + models.read_text())
    (with_zebras / "app/zebras/own.py").write_text("# Mine too.\n")

    result = run("field", "zebras", "isbn:text:optional")

    assert result.exit_code == 0, result.output
    assert models.read_text().startswith("# Mine.\n")
    assert models.read_text().endswith("    isbn: Mapped[str | None]\n")
    assert (with_zebras / "app/zebras/own.py").exists()
    assert not (with_zebras / "tests/zebras/test_it.py").exists()  # its owner has deleted it
    assert "isbn" in (with_zebras / new.ANSWERS).read_text()
    assert len([*with_zebras.glob("migrations/versions/*isbn*")]) == 1


def test_a_folder_that_its_owner_has_deleted_stays_away(with_zebras: Path) -> None:
    (with_zebras / "tests/zebras").rmdir()

    result = run("field", "zebras", "isbn:text:optional")

    assert result.exit_code == 0, result.output
    assert not (with_zebras / "tests/zebras").exists()


def test_a_conflict_is_left_to_the_owner(with_zebras: Path) -> None:
    models = with_zebras / "app/zebras/models.py"
    models.write_text(models.read_text() + "    mine: Mapped[str | None]\n")

    result = run("field", "zebras", "isbn:text:optional")

    assert "Conflict in app/zebras/models.py: choose" in result.output
    assert "<<<<<<< yours\n    mine:" in models.read_text()
    assert not [*with_zebras.glob("migrations/versions/*isbn*")]


def test_what_a_store_needs_comes_with_its_first_resource_and_goes_with_its_last(
    with_database: Path,
) -> None:
    shared, module = with_database / "shared.txt", with_database / "app" / "zoo.py"
    shared.write_text("Mine.\n\nOf all.\n")

    result = run("new", "zebras", "title:text", "--store", "sql")

    assert result.output.splitlines()[1:3] == ["Wrote app/zoo.py", "Wrote shared.txt"]
    assert shared.read_text() == "Mine.\n\nOf all.\nOf the store.\n"
    assert "store: sql" in (with_database / new.ANSWERS).read_text()
    [migration] = with_database.glob("migrations/versions/*zebras*")
    migration.unlink()  # rather than to run it
    module.write_text("# Mine.\n")

    result = run("remove", "zebras", "--yes")

    assert "Deleted app/zoo.py, which nothing needs now." in result.output
    assert not module.exists()
    assert shared.read_text() == "Mine.\n\nOf all.\n"


@pytest.mark.parametrize(
    ("mine", "conflicts", "changed"),
    [
        ("Of all.\nMine.\n", ["shared.txt"], ["app/zoo.py", "shared.txt"]),
        ("Mine.\n\nOf all.\n", [], ["app/zoo.py", "shared.txt"]),
        (None, [], ["app/zoo.py"]),  # its owner has deleted it
    ],
)
def test_a_shared_file_is_merged_where_its_owner_has_it(
    root: Path, tmp_path: Path, mine: str | None, conflicts: list[str], changed: list[str]
) -> None:
    if mine:
        (root / "shared.txt").write_text(mine)
    (tmp_path / "new").mkdir()
    answers = new.read_answers()

    merged = new.merge_shared(tmp_path / "new", answers, {"zebras": {"store": "sql"}})

    assert merged == (changed, conflicts)


def test_a_file_of_the_name_of_a_shared_one_is_not_overwritten(root: Path, tmp_path: Path) -> None:
    (root / "app" / "zoo.py").write_text("# Mine.\n")
    (tmp_path / "new").mkdir()

    with pytest.raises(SystemExit, match=r"Move app/zoo\.py away first"):
        new.merge_shared(tmp_path / "new", new.read_answers(), {"zebras": {"store": "sql"}})


PROJECT = '[project]\nname = "zoo"\nversion = "1"\nrequires-python = ">=3.11"\n'
UNKNOWN = 'dependencies = ["zoo @ file:///nowhere"]\n'


@pytest.mark.parametrize(
    ("project", "search_path", "reason"),
    [
        (PROJECT, None, "The migration cannot be written"),
        (PROJECT + UNKNOWN, None, "cannot be installed"),
        (PROJECT, "", "This needs uv"),
    ],
    ids=["installed", "not found", "without uv"],
)
@pytest.mark.usefixtures("unchanged")
def test_packages_of_a_store_are_installed_before_its_migration(
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    project: str,
    search_path: str | None,
    reason: str,
) -> None:
    folder = tmp_path_factory.mktemp("later")
    (folder / "pyproject.toml").write_text(project)
    shutil.copy(root / new.ANSWERS, folder)
    monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", str(folder / "environment"))
    if search_path is not None:
        monkeypatch.delenv("UV", raising=False)
        monkeypatch.setenv("PATH", search_path)

    with pytest.raises(SystemExit, match=reason):
        new.exchange(folder, ["pyproject.toml"], [], new.Revision("nonsense", "create zoo"))

    assert (folder / "environment").is_dir() is (search_path is None)
    (root / "uv.lock").unlink(missing_ok=True)  # uv writes the next one


@pytest.mark.parametrize(("options", "is_removed"), [(["--yes"], True), ([], False)])
def test_a_resource_is_removed_if_one_says_yes(
    with_zebras: Path, options: list[str], is_removed: bool
) -> None:
    CliRunner().invoke(cli.app, ["remove", "zebras", *options], input="n\n")

    for path in new.paths_of("zebras"):
        assert (with_zebras / path).exists() is not is_removed
    assert ("title" in (with_zebras / new.ANSWERS).read_text()) is not is_removed


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["new", "users", "name:text"], "Type another name than users"),
        (["new", "auth", "name:text"], "Type another name than auth"),
        (["new", "cli", "name:text"], "Type another name than cli"),
        (["new", "tenants", "name:text"], "Type another name than tenants"),
        (["new", "proxy", "name:text", "--singular", "proxied"], "with another answer"),
        (["new", "drafts", "name:text", "--singular", "item"], "another --singular"),
        (["new", "drafts", "name:text", "--singular", "me"], "another --singular"),
        (["new", "", "title:text"], "Type the plural"),
        (["new", "zebras", ""], "Type a field as in"),
        (["new", "zebras", ":text"], "Type a field as in"),
        (["new", "zebras", "title:text", "--store", "tortoise"], "Type another --store"),
        (["new", "zebras", "title:txet"], "Type title:TYPE, where TYPE is one of these: "),
        (["new", "zebras", "title"], "Type title:TYPE"),
        (["new", "zebras", "profile:profiles"], "Type profile:TYPE"),
        (["new", "zebras", "customer:tenants"], "Type customer:TYPE"),
        (["new", "zebras", "key:idempotency_keys"], "Type key:TYPE"),
        (["new", "zebras", "login:failed_logins"], "Type login:TYPE"),
        (["new", "zebras", "bad:text"], "Type a better field."),
        (["field", "zebras", "title:text:optional"], "has written: none yet."),
        (["remove", "zebras", "--yes"], "has written: none yet."),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    root: Path, arguments: list[str], text: str
) -> None:
    assert root.exists()
    assert_refused(run(*arguments), text)


@pytest.mark.parametrize(
    ("concurrency", "database", "reason"),
    [
        ("sync", "postgres", "async only"),
        ("sync", "sqlite", "async only"),
        ("async", "sqlite", "SQLite"),
    ],
)
def test_a_new_resource_of_tortoise_is_refused_where_tortoise_cannot_be(
    concurrency: str, database: str, reason: str
) -> None:
    answers = {"concurrency": concurrency, "database": database}
    with pytest.raises(SystemExit, match=reason):
        new.refuse_store(answers, {"store": "tortoise"})
    new.refuse_store(answers, {"store": "sql"})
    new.refuse_store({"concurrency": "async", "database": "postgres"}, {"store": "tortoise"})


def test_the_name_of_a_module_of_the_tests_is_taken(root: Path) -> None:
    (root / "tests" / "samples.py").touch()

    assert_refused(run("new", "samples", "name:text"), "Type another name than samples")


def test_what_others_refer_to_is_not_removed(with_zebras: Path) -> None:
    answers = with_zebras / new.ANSWERS
    answers.write_text(answers.read_text().replace("zebras:", "users:"))

    assert_refused(run("remove", "users", "--yes"), "first: ", "items")


def test_two_tables_do_not_refer_to_each_other(with_zebras: Path) -> None:
    """Items have an owner."""
    answers = with_zebras / new.ANSWERS
    answers.write_text(answers.read_text().replace("zebras:", "users:"))

    assert_refused(run("field", "users", "pet:items:optional"), "items refers to users")


@pytest.mark.usefixtures("with_zebras", "unchanged")
@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("", "Type a field as in"),
        ("isbn:text", "Type isbn:text:optional"),
        ("kind:enum:optional_extra:standard", "Type kind:enum:optional_extra:standard:optional"),
        ("bad:text:optional", "Type a better field."),
        ("key:idempotency_keys:optional", "Type key:TYPE"),
    ],
)
def test_a_new_field_is_optional_and_one_that_a_new_resource_may_have(
    field: str, text: str
) -> None:
    assert_refused(run("field", "zebras", field), text)


@pytest.mark.parametrize(
    ("path", "code", "field"),
    [
        ("models.py", 'class Zebra:\n    """Striped."""\n\n    isbn: str\n', "isbn:text"),
        ("models.py", "class Zebra:\n    herd_id = fields.BigIntField()\n", "herd:users"),
        ("schemas.py", "class ZebraRead:\n    def isbn(self) -> str: ...\n", "isbn:text"),
    ],
)
def test_an_attribute_of_the_owner_is_no_new_field(
    with_zebras: Path, path: str, code: str, field: str
) -> None:
    (with_zebras / "app/zebras" / path).write_text(code)
    before = content(with_zebras)

    assert_refused(run("field", "zebras", f"{field}:optional"), "another name", f"zebras/{path}")

    assert content(with_zebras) == before


def test_code_that_python_cannot_read_is_one_line(with_zebras: Path) -> None:
    (with_zebras / "app/zebras/schemas.py").write_text("class ZebraRead:\n    isbn: (\n")

    result = run("field", "zebras", "isbn:text:optional")

    assert_refused(result, "Correct app/zebras/schemas.py, line 2")


@pytest.mark.usefixtures("with_zebras", "unchanged")
@pytest.mark.parametrize(
    "arguments", [["new", "lions", "name:text"], ["remove", "zebras", "--yes"]]
)
def test_a_pending_change_of_the_models_is_refused(arguments: list[str]) -> None:
    table = Table("pending", Base.metadata, Column("id", Integer, primary_key=True))
    try:
        result = run(*arguments)
    finally:
        Base.metadata.remove(table)

    assert result.exit_code == 1
    assert re.search("^The models differ .*uv run alembic revision --auto", result.output, re.M)


MIGRATION = """
revision = {name!r}
down_revision = {after!r}
def upgrade(): pass
def downgrade(): pass
"""


def add_migrations(root: Path, *names: str) -> None:
    versions = root / "migrations" / "versions"
    _, [head] = read(versions)
    read.cache_clear()
    for name in names:
        (versions / f"{name}.py").write_text(MIGRATION.format(name=name, after=head))


def test_a_database_that_is_behind_is_refused(with_database: Path) -> None:
    add_migrations(with_database, "own")
    assert_refused(run("new", "zebras", "title:text"), "uv run alembic upgrade heads")


@pytest.mark.parametrize(
    ("code", "what_to_do"),
    [
        (MIGRATION.format(name="own", after="lost"), "There is no migration 'lost'"),
        ("def upgrade(:", "A migration fails: SyntaxError"),
        (MIGRATION.format(name="own", after="{head}") + "int('x')", "A migration fails: Value"),
    ],
    ids=["lost", "unreadable", "failing"],
)
def test_a_migration_that_cannot_be_run_is_one_line(
    with_database: Path, code: str, what_to_do: str
) -> None:
    add_migrations(with_database, "own")
    file = with_database / "migrations/versions/own.py"
    _, [head] = read(file.parent)
    read.cache_clear()
    file.write_text(code.replace("{head}", head))

    assert_refused(run("new", "zebras", "title:text"), what_to_do)


def test_two_heads_are_refused(with_database: Path) -> None:
    add_migrations(with_database, "own", "of_the_template")
    assert_refused(run("new", "zebras", "title:text"), "uv run alembic merge heads")


FAILING = """
import sys
from pathlib import Path

Path("migrations/versions", f"{sys.argv[-1]}.py").touch()
raise SystemExit("No more.")
"""


def test_what_fails_is_taken_back(with_zebras: Path) -> None:
    (with_zebras / "alembic.py").write_text(FAILING)
    before = content(with_zebras)

    result = run("field", "zebras", "isbn:text:optional")

    assert result.exit_code == 1
    assert result.output == "The migration cannot be written: No more.\n"
    assert content(with_zebras) == before


@pytest.mark.parametrize("folder", ["app/zebras", "tests/zebras"])
def test_a_folder_that_cannot_be_moved_is_taken_back(
    with_zebras: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(with_zebras)
    refuse_to_move(monkeypatch, with_zebras / ".app-new" / folder)

    result = run("field", "zebras", "isbn:text:optional")

    assert_refused(result, "Run it in a folder")
    assert content(with_zebras) == before


def test_what_cannot_be_taken_back_is_kept(
    with_zebras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = (with_zebras / "app/zebras/models.py").read_text()
    kept = with_zebras / ".app-new" / new.EXCHANGED
    refuse_to_move(monkeypatch, with_zebras / ".app-new/tests/zebras", kept / "app/zebras")

    assert_refused(run("field", "zebras", "isbn:text:optional"), str(kept), "half-way")

    assert (kept / "app/zebras/models.py").read_text() == models


def refuse_to_move(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    move = new.move

    def refuse(source: Path, target: Path) -> None:
        if source in paths:
            raise PermissionError(EACCES, "Not permitted", str(source))
        move(source, target)

    monkeypatch.setattr(new, "move", refuse)


def test_one_command_runs_at_a_time(with_zebras: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another one wrote while this one asks would be lost from the answers."""
    others = []

    def confirm(*_arguments: object, **_options: object) -> None:
        others.append(run("new", "lions", "title:text"))
        raise typer.Abort

    monkeypatch.setattr("typer.confirm", confirm)

    assert run("remove", "zebras").exit_code == 1

    assert_refused(others[0], "Another `app new` is at work")
    assert "zebras" in (with_zebras / new.ANSWERS).read_text()


@pytest.mark.usefixtures("unchanged")
def test_without_locks_a_folder_of_another_command_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(new, "find_spec", lambda _name: None)
    with new.beside():
        assert_refused(run("new", "zebras", "title:text"), "is at work", "If none is")


class Ending(new.NoRevision):
    """What happens where a migration would be written."""

    def __init__(self, happen: Callable[[], Any]) -> None:
        super().__init__("", "")
        self.happen = happen

    def __call__(self) -> None:
        self.happen()


def exchange_all(folder: Path, happen: Callable[[], Any]) -> None:
    """Remove the zebras and bring lions."""
    new.render(folder, new.read_answers(), "lions", {"lions": {"fields": []}})
    new.exchange(folder, [*new.paths_of("zebras"), *new.paths_of("lions")], [], Ending(happen))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_takes_everything_back(
    with_zebras: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind = signal.Signals[name]
    # Whoever runs the tests may ignore it, as `nohup` does.
    inherited = signal.signal(kind, signal.default_int_handler)
    before = content(with_zebras)
    move, signals = new.move, []

    def send() -> None:
        signals.append(kind)
        signal.raise_signal(kind)

    def move_and_send(source: Path, target: Path) -> None:
        if signals:  # a closed terminal sends several
            send()
        move(source, target)

    monkeypatch.setattr(new, "move", move_and_send)

    with pytest.raises(KeyboardInterrupt), new.beside() as folder:
        exchange_all(folder, send)

    assert len(signals) > 1
    assert content(with_zebras) == before
    assert signal.signal(kind, inherited) == signal.default_int_handler


def test_a_signal_after_all_was_exchanged_loses_nothing(
    with_zebras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def rename_and_send(source: Path, target: Path) -> Path:
        renamed = rename(source, target)
        if source.name == new.EXCHANGED:
            signal.raise_signal(signal.SIGTERM)
        return renamed

    monkeypatch.setattr(Path, "rename", rename_and_send)

    with pytest.raises(KeyboardInterrupt), new.beside() as folder:
        exchange_all(folder, lambda: None)

    assert (with_zebras / "app/lions/models.py").exists()
    assert not (with_zebras / "app/zebras").exists()


def test_what_a_killed_command_has_moved_comes_back_as_the_next_one_says(
    with_zebras: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (with_zebras / "app/zebras/models.py").write_text("# Mine.\n")
    before = content(with_zebras)
    killed = tmp_path_factory.mktemp("a service") / "killed"
    with new.beside() as folder:
        exchange_all(folder, lambda: shutil.copytree(with_zebras, killed))
    monkeypatch.setattr(development, "ROOT", killed)
    assert not (killed / "app/zebras").exists()

    result = run("new", "zebras", "title:text")

    assert_refused(result, "has ended half-way", "git status")
    [taken_back] = re.findall("`(cp .*?)`", result.output)
    for typed in taken_back.split(" && "):
        subprocess.run(shlex.split(typed), check=True)
    for path in new.paths_of("lions"):
        shutil.rmtree(killed / path)
    assert content(killed) == {
        killed / path.relative_to(with_zebras): text for path, text in before.items()
    }


def test_what_a_killed_command_has_not_moved_yet_is_in_nobodys_way(with_zebras: Path) -> None:
    (with_zebras / ".app-new/app/zebras").mkdir(parents=True)
    (with_zebras / ".app-new/app/zebras/models.py").touch()

    with new.beside() as folder:
        assert not [*folder.iterdir()]


def test_app_dev_reloads(with_zebras: Path) -> None:
    app = with_zebras / "app"
    config = uvicorn.Config("app.asgi:app", reload=True, reload_dirs=[str(app)], reload_delay=0)
    reloader = ChangeReload(config, lambda _sockets: None, [])
    with ThreadPoolExecutor(1) as executor:
        first = executor.submit(reloader.should_restart)
        while not first.done():  # until it watches
            (app / "ping.txt").write_text("Not of Python.\n")
            time.sleep(0.02)

    with new.beside() as folder:
        exchange_all(folder, lambda: None)

    assert any(reloader.should_restart() for _ in range(3))


def test_a_folder_goes_with_its_last_files(root: Path) -> None:
    (root / "app/herds").mkdir()
    paths = ["app/herds/a.py", "app/herds/b.py"]
    for path in paths:
        (root / path).touch()

    with new.beside() as folder:
        new.render(folder, new.read_answers(), "_", {})
        new.exchange(folder, paths, [], Ending(lambda: None))

    assert not (root / "app/herds").exists()


def test_a_table_that_no_migration_has_created_needs_none_to_go(with_zebras: Path) -> None:
    table = Table("zebras", Base.metadata, Column("id", Integer, primary_key=True))
    before = {*with_zebras.glob("migrations/versions/*")}
    try:
        result = run("remove", "zebras", "--yes")
    finally:
        Base.metadata.remove(table)

    assert result.output.endswith("Then: uv run pytest\n")
    assert {*with_zebras.glob("migrations/versions/*")} == before
    assert not (with_zebras / "app/zebras").exists()


@pytest.mark.parametrize("source", ["{root}/nowhere", "nowhere"])
def test_a_template_that_is_not_there_is_named(root: Path, source: str) -> None:
    nowhere = source.format(root=root)
    (root / new.ANSWERS).write_text(f"_commit: '1.0'\n_src_path: {nowhere}\nresources: {{}}\n")

    result = run("new", "zebras", "title:text")

    assert_refused(
        result, f"1.0 at {nowhere}. Local template must be", "correct _src_path", "whole path"
    )


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", ["copier.run_copy", "pathlib.Path.mkdir"])
def test_a_disk_that_cannot_be_written_is_not_the_template(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(ENOSPC, "No space left on device", str(root))

    monkeypatch.setattr(name, fail)

    assert_refused(run("new", "zebras", "title:text"), "No space left", "Run it in a folder")


@pytest.mark.parametrize(
    ("answers", "what_to_do"),
    [
        ("", "git checkout HEAD"),
        ("resources:\n_commit: '1.0'\n_src_path: nowhere\n", "git checkout HEAD"),
        ("a: 1\n<<<<<<< before\nb: 1\n=======\nb: 2\n>>>>>>> after\n", "near line 3: are"),
    ],
    ids=["empty", "without resources", "conflict"],
)
def test_answers_that_cannot_be_read_are_one_line(
    root: Path, answers: str, what_to_do: str
) -> None:
    (root / new.ANSWERS).write_text(answers)

    assert_refused(run("new", "zebras", "title:text"), new.ANSWERS, what_to_do)


def test_the_answers_are_needed(root: Path) -> None:
    (root / new.ANSWERS).unlink()
    assert_refused(run("new", "zebras", "title:text"), new.ANSWERS)


def test_git_is_needed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    assert_refused(run("new", "zebras", "title:text"), "needs git")


def test_the_tools_of_development_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda _name: None)
    assert_refused(run("new", "zebras", "title:text"), "`uv sync`")


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("zebras", "zebra"),
        ("order_lines", "order_line"),
        ("categories", "category"),
        ("boxes", "box"),
        ("addresses", "address"),
        ("branches", "branch"),
        ("dishes", "dish"),
        ("people", "people"),
        ("glass", "glass"),
    ],
)
def test_one_of_many(many: str, one: str) -> None:
    assert new.singular_of(many) == one


def test_a_store_without_tables_needs_no_migration(capsys: pytest.CaptureFixture[str]) -> None:
    with new.database("create notes", {"store": "mongodb"}) as revise:
        assert revise.that_drops("notes") is revise
        new.say_what_to_do([], [], revise)

    assert capsys.readouterr().out == "Then: uv run pytest\n"
