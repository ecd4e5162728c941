"""The commands in a service's README delete an example."""

import re
from pathlib import Path

import pytest

from hooks.check import production
from hooks.databases import Databases
from hooks.render import render
from hooks.service import Service
from hooks.variants import Variant, variants
from tests.conftest import COVERED_WITHOUT_ORDERS, Shell
from tests.test_lived_in import MIGRATIONS, STATIC

# With coverage, to find lines that only the deleted tests of orders ran.
SUITE = ("pytest", "--cov", "--numprocesses", "0")
EXAMPLES = (COVERED_WITHOUT_ORDERS, "sync-postgres-crud")  # which share no choice


@pytest.mark.parametrize(
    "variant", [each for each in variants() if each.name in EXAMPLES], ids=lambda each: each.name
)
def test_the_readme_deletes_orders(
    shell: Shell, databases: Databases, folder: Path, venv: Path, variant: Variant
) -> None:
    render(variant.answers, folder)
    readme = (folder / "README.md").read_text("utf-8")
    (block,) = re.findall(r"To delete an example.*?```sh\n(.*?)```", readme, re.DOTALL)
    service = Service(folder, venv)
    # With this seed, Alembic alone would drop orders before the lines that refer to them.
    settings = production(databases.new(variant)) | {"PYTHONHASHSEED": "2"}
    for line in block.splitlines():
        command = line.partition("#")[0].strip()
        if command.startswith("uv "):
            arguments = re.findall(r'"[^"]*"|\S+', command)[1:]
            service.run(*(each.strip('"') for each in arguments), settings=settings)
        else:
            assert shell("sh", "-c", command, cwd=folder).returncode == 0
    for step in STATIC + MIGRATIONS:
        service.run("run", *step, settings=settings)
    if variant.name == COVERED_WITHOUT_ORDERS:
        # A file, because root could write into a read-only folder: the suite must not need it.
        (folder / ".data").write_text("There is no development database.\n")
        before = set(folder.glob("[!.]*"))
        service.run("run", *SUITE)
        assert set(folder.glob("[!.]*")) == before
