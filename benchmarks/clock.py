"""Seconds from a command to its end, or to the first answered request: what a developer waits for.

    uv run python -m benchmarks.clock [VARIANT...]

Default: all variants. Each is rendered from the files as they are now and installed before the
clock starts. The first `app dev` creates the database and compiles everything to bytecode. Commit
first: `app new` reads the template at the version that the service has.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import httpx

from hooks.check import free_port, production
from hooks.databases import Databases
from hooks.render import render
from hooks.service import NONE, UV, Service, end
from hooks.variants import Variant, variants

ROUNDS = 5
FIELDS = ("title:text", "rating:integer:1:5", "body:text:5000:optional", "item:items")
TIMEOUT = 120
# Some containers set it, and every process would compile its imports.
BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}

numbers = count(1)


def start(
    service: Service, *command: str, settings: Mapping[str, str] = NONE
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=service.folder,
        env=service.environment({**BYTECODE, **settings}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def until_exit(service: Service, *command: str, settings: Mapping[str, str]) -> float:
    started = monotonic()
    status = start(service, *command, settings=settings).wait(TIMEOUT)
    if status != 0:
        raise SystemExit(f"{command} in {service.folder}: exit {status}")
    return monotonic() - started


def until_answer(service: Service, *command: str, settings: Mapping[str, str] = NONE) -> float:
    port = free_port()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
        started = monotonic()
        process = start(service, *command, "--port", str(port), settings=settings)
        try:
            while process.poll() is None and monotonic() < started + TIMEOUT:
                try:
                    client.get("/api/v1/items").raise_for_status()
                except httpx.TransportError:
                    sleep(0.01)
                else:
                    return monotonic() - started
            raise SystemExit(f"{command} in {service.folder}: no answer")
        finally:
            end(process)


def until_written(service: Service, settings: Mapping[str, str]) -> float:
    """Add a resource, which the next one finds migrated."""
    seconds = until_exit(
        service, UV, "run", "app", "new", f"r{next(numbers)}s", *FIELDS, settings=settings
    )
    service.run("run", "alembic", "upgrade", "heads", settings=settings)
    return seconds


def main(variant: Variant, folder: Path, databases: Databases) -> None:
    service = Service(folder)
    render(variant.answers, folder)
    service.run("sync")

    scripts = service.folder / ".venv" / "bin"
    # Skip the interpreter's shutdown, which no server waits for.
    import_app = "import os, app.asgi; os._exit(0)"
    settings = production(databases.new(variant))
    cases: dict[str, Callable[[], float]] = {
        "import app.asgi": lambda: until_exit(
            service, str(scripts / "python"), "-c", import_app, settings=settings
        ),
        "app serve": lambda: until_answer(
            service, str(scripts / "app"), "serve", settings=settings
        ),
        "uv run app serve": lambda: until_answer(
            service, UV, "run", "app", "serve", settings=settings
        ),
        "uv run app dev": lambda: until_answer(service, UV, "run", "app", "dev"),
        "uv run app new": lambda: until_written(service, settings),
    }
    first = cases["uv run app dev"]()
    service.run("run", "alembic", "upgrade", "heads", settings=settings)
    # In rounds, so that other load on the machine affects all cases alike.
    taken = [{name: take() for name, take in cases.items()} for _ in range(ROUNDS)]

    print(f"{variant.name}, the median of {ROUNDS}, on {os.cpu_count()} cores")
    for name in cases:
        print(f"{name:30} {median(one[name] for one in taken):5.2f} s")
    print(f"{'the first uv run app dev':30} {first:5.2f} s", flush=True)


if __name__ == "__main__":
    known = {variant.name: variant for variant in variants()}
    with TemporaryDirectory() as temporary, Databases() as databases:
        for name in sys.argv[1:] or known:
            main(known[name], Path(temporary, name), databases)
