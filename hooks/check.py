"""Check everything that a rendered service promises, in one variant or in many at once."""

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex
from shutil import copytree, rmtree
from tempfile import TemporaryDirectory, mkdtemp
from time import monotonic, sleep
from typing import Any

import httpx

from hooks.databases import Databases
from hooks.render import render
from hooks.resources import SAMPLES, resources
from hooks.service import Service
from hooks.variants import ROOT, Variant

SECRET_KEY = token_hex(32)
CACHES = ROOT / ".mypy_cache"

OnStep = Callable[[Variant, str], None]


@dataclass
class Report:
    """The seconds of each step of one variant; if there is a failure, the last step failed."""

    variant: Variant
    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)
    failure: str = ""

    @property
    def ok(self) -> bool:
        return not self.failure

    @property
    def last_step(self) -> str:
        return list(self.seconds)[-1]

    def to_json(self) -> dict[str, Any]:
        return {
            "variant": self.variant.name,
            "ok": self.ok,
            "seconds": {step: round(seconds, 2) for step, seconds in self.seconds.items()},
            "failure": self.failure or None,
            "folder": None if self.ok else str(self.folder),
        }


def check(
    report: Report,
    steps: Mapping[str, Callable[[], object]],
    on_step: OnStep = lambda _variant, _step: None,
) -> Report:
    """Take a variant through these steps, up to the first that fails."""
    for step, take in steps.items():
        on_step(report.variant, step)
        started = monotonic()
        try:
            take()
        except Exception as error:  # the other variants go on
            report.failure = "\n".join(
                [str(error) or repr(error), *getattr(error, "__notes__", [])]
            )
        report.seconds[step] = monotonic() - started
        if not report.ok:
            break
    return report


def steps(
    variant: Variant,
    service: Service,
    databases: Databases,
    template: Path = ROOT,
    *,
    suite: Sequence[str] = ("--cov",),
) -> dict[str, Callable[[], object]]:
    """Return all that a variant is checked for, in the order in which it must be done.

    `suite` has arguments of pytest.
    """
    # In one process: other variants are checked on the other cores.
    pytest = ("pytest", "--numprocesses", "0", *suite)
    return {
        "render": lambda: render(
            {**variant.answers, "resources": resources(SAMPLES)}, service.folder, template
        ),
        "install": lambda: service.run("sync"),
        "format": lambda: service.run("run", "ruff", "format", "--check", "."),
        "lint": lambda: service.run("run", "ruff", "check", "."),
        "types": lambda: check_types(service, variant.name),
        "migrations": lambda: migrate(service, production(databases.new(variant))),
        "tests": lambda: service.run("run", *pytest, timeout=1800),
        "boot": lambda: boot(service, production(databases.new(variant))),
    }


def check_types(service: Service, cache_name: str) -> None:
    """Run mypy with a cache that is kept, and that begins with another's.

    Nine tenths of the time go to packages, which are the same in most services.
    """
    cache, seed = CACHES / cache_name, CACHES / "seed"
    if seed.exists() and not cache.exists():
        copytree(seed, cache)
    service.run("run", "mypy", settings={"MYPY_CACHE_DIR": str(cache)})
    if not seed.exists():
        with TemporaryDirectory(dir=CACHES) as folder, suppress(OSError):  # another was faster
            copytree(cache, Path(folder, "seed")).rename(seed)


def production(database_url: str) -> dict[str, str]:
    """Return the settings that a service needs in production."""
    return {"DATABASE_URL": database_url, "SECRET_KEY": SECRET_KEY}


def migrate(service: Service, settings: dict[str, str]) -> None:
    """Write the migration of the resources; the suite takes a database up and down all of them."""
    service.run("run", "alembic", "upgrade", "heads", settings=settings)
    revision = ("revision", "--autogenerate", "--message", "create samples")
    service.run("run", "alembic", *revision, settings=settings)


def boot(service: Service, settings: dict[str, str]) -> None:
    with served(service, settings) as base_url:
        for path in ("/health/ready", "/openapi.json"):
            httpx.get(base_url + path, timeout=30, trust_env=False).raise_for_status()
        form = {"username": "ada@example.com", "password": "correct horse battery staple"}
        login = httpx.post(f"{base_url}/api/v1/auth/token", data=form, timeout=30, trust_env=False)
        if login.status_code != HTTPStatus.UNAUTHORIZED:  # the database was asked, and knows nobody
            raise RuntimeError(f"a log-in is answered with {login.status_code}: {login.text}")
    expect_no_process(service)


@contextmanager
def served(service: Service, settings: dict[str, str]) -> Iterator[str]:
    """Migrate, serve as in production, and yield the address."""
    service.run("run", "alembic", "upgrade", "heads", settings=settings)
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    serve = ("run", "app", "serve", "--host", "127.0.0.1", "--port", str(port))
    with service.serving(*serve, base_url=base_url, settings=settings):
        yield base_url


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def expect_no_process(service: Service, timeout: float = 10) -> None:
    """Raise RuntimeError when a process of the service outlives its stop."""
    deadline = monotonic() + timeout
    while left := service.processes():
        if monotonic() > deadline:
            raise RuntimeError(f"still running in {service.folder}: {left}")
        sleep(0.1)


def check_all(
    variants: Sequence[Variant], jobs: int, template: Path, on_step: OnStep
) -> Iterator[Report]:
    """Check variants in parallel, each in a folder of its own; keep the folder of a failure."""

    def check_one(variant: Variant) -> Report:
        folder = Path(mkdtemp(prefix=f"{variant.name}-"))
        all_steps = steps(variant, Service(folder), databases, template)
        report = check(Report(variant, folder), all_steps, on_step)
        if report.ok:
            rmtree(folder)
        return report

    with Databases() as databases, ThreadPoolExecutor(jobs) as pool:
        try:
            for done in as_completed([pool.submit(check_one, variant) for variant in variants]):
                yield done.result()
        finally:
            # Ctrl-C has stopped the running commands: start no others.
            pool.shutdown(wait=False, cancel_futures=True)
