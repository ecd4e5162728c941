"""Resources in MongoDB: how they come and go, and that their tests pass."""

from pathlib import Path

from hooks.check import check_types
from hooks.databases import Databases
from hooks.release import NEXT
from hooks.render import render
from hooks.resources import MONGODB_SAMPLES, resources
from hooks.service import Service
from hooks.variants import variants
from tests.projects import Projects, tree

OPPOSITES = [variants()[0], variants()[-1]]
[WITH_TENANTS] = [each for each in variants() if each.name == "sync-postgres-crud-rows"]
FIRST, SECOND, *_ = MONGODB_SAMPLES
DEPENDENCY = '    "pyjwt>=2.12,<3",\n    "pymongo>=4.18,<5",\n'


SUITE = ("pytest", "--numprocesses", "0", "--cov=app/mongo", "tests/mongo")


def cover(*plurals: str) -> list[str]:
    """Run the tests of these resources, too, and those of all that look at them."""
    hostile = ["tests/test_hostile_input.py", "-k", f"not hostile or {' or '.join(plurals)}"]
    of_each = (each for plural in plurals for each in (f"--cov=app/{plural}", f"tests/{plural}"))
    return [*SUITE, *of_each, "tests/test_races.py", *hostile]


def test_the_commands_write_what_a_copy_has_and_its_tests_pass(
    projects: Projects, databases: Databases, folder: Path, venv: Path
) -> None:
    variant = OPPOSITES[1]
    project = projects.start(folder / "service", NEXT, variant.answers)
    service = Service(project, venv)
    settings = {"DATABASE_URL": databases.new(variant)}
    mine = '    "tenacity>=9",\n]\n\n[project.scripts]'
    file = project / "pyproject.toml"
    file.write_text(file.read_text("utf-8").replace("]\n\n[project.scripts]", mine), "utf-8")
    before = tree(project)

    def run(*command: str) -> str:
        return service.run("run", *command, settings=settings)

    output = run("app", "new", *FIRST.split())
    assert "Wrote app/mongo/client.py" in output
    assert "migration" not in output
    run("app", "new", *SECOND.split())
    copy = tree(projects.copy(NEXT, {**variant.answers, "resources": resources([FIRST, SECOND])}))
    found = tree(project)
    assert [path for path in copy if found.get(path) != copy[path]] == ["pyproject.toml"]
    assert DEPENDENCY in file.read_text("utf-8")
    assert mine in file.read_text("utf-8")

    run("app", "field", "parcels", "later:text:optional:unique")
    run("ruff", "format", "--check", ".")
    run("ruff", "check", ".")
    check_types(service, f"mongodb-{variant.name}")
    run(*cover("parcels", "crates"))

    for plural in ("parcels", "crates"):
        run("app", "remove", plural, "--yes")
    code = ("app/", "tests/", "migrations/")
    assert {
        path: entry
        for path, entry in tree(project).items()
        if path in before or (path.startswith(code) and "__pycache__" not in path)
    } == before


def test_their_tests_pass(databases: Databases, folder: Path, venv: Path) -> None:
    answers = {**OPPOSITES[0].answers, "resources": resources(MONGODB_SAMPLES)}
    render(answers, folder / "service")
    service = Service(folder / "service", venv)
    settings = {"DATABASE_URL": databases.new(OPPOSITES[0])}
    service.run("sync")
    service.run("run", "ruff", "format", "--check", ".")
    service.run("run", "ruff", "check", ".")
    check_types(service, "mongodb-async")
    service.run("run", *cover(*resources(MONGODB_SAMPLES)), settings=settings)


def test_documents_of_tenants_are_kept_apart(
    databases: Databases, folder: Path, venv: Path
) -> None:
    answers = {**WITH_TENANTS.answers, "resources": resources(MONGODB_SAMPLES)}
    render(answers, folder / "service")
    service = Service(folder / "service", venv)
    settings = {"DATABASE_URL": databases.new(WITH_TENANTS)}
    service.run("sync")
    check_types(service, "mongodb-tenants")
    tests = ("tests/mongo", "tests/crates", "tests/badges", "tests/stamps")
    service.run("run", "pytest", "--numprocesses", "0", *tests, settings=settings)
