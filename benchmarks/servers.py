"""Servers under test, each with one worker on a core of its own."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import monotonic, sleep

import psutil

from hooks.check import SECRET_KEY, free_port
from hooks.render import render
from hooks.service import NONE, Service, end, is_ready
from hooks.variants import Variant

APPS = Path(__file__).parent / "apps"
SERVE = ("app", "serve")

CAN_PIN = hasattr(os, "sched_getaffinity") and shutil.which("taskset") is not None
SERVER_CORE = min(os.sched_getaffinity(0)) if CAN_PIN else 0

OnStep = Callable[[str], None]


class BenchError(Exception):
    """Says what is missing or which answer was wrong."""


@dataclass(frozen=True)
class Server:
    name: str
    url: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system

    def rss_mib(self) -> float:
        rss: int = self.process.memory_info().rss
        return rss / 2**20


def install(variant: Variant, folder: Path, template: Path) -> Service:
    """Render and install a service as its Dockerfile does."""
    render(variant.answers, folder, template)
    service = Service(folder)
    # A process that compiles its imports keeps 7 MiB more.
    service.run("sync", "--compile-bytecode")
    return service


@contextmanager
def other_cores() -> Iterator[None]:
    """Run everything that is started in the block away from the server's core."""
    if not CAN_PIN:
        yield
        return
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(all_cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_cores)


@contextmanager
def serving(
    name: str,
    service: Service,
    command: tuple[str, ...],
    database_url: str,
    more: Mapping[str, str] = NONE,
) -> Iterator[Server]:
    """Run a server with the packages of `service`; raise BenchError when it does not start."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    pin = ["taskset", "--cpu-list", str(SERVER_CORE)] if CAN_PIN else []
    program = service.folder / ".venv" / "bin" / command[0]
    with NamedTemporaryFile() as output:
        process = subprocess.Popen(
            [*pin, program, *command[1:], "--port", str(port)],
            cwd=service.folder,
            env=service.environment(settings(database_url) | dict(more)),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = monotonic() + 60
            while not is_ready(url):
                if process.poll() is not None or monotonic() > deadline:
                    log = Path(output.name).read_text("utf-8")
                    raise BenchError(f"{name} did not start:\n{log}")
                sleep(0.1)
            yield Server(name, url, psutil.Process(process.pid))
        finally:
            end(process)


def application(module: str) -> tuple[str, ...]:
    """Return the command that serves a module of `apps/`."""
    quiet = ("--no-access-log", "--log-level", "warning", "--no-server-header")
    return ("uvicorn", f"{module}:app", "--app-dir", str(APPS), *quiet)


def settings(database_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "SECRET_KEY": SECRET_KEY,
        "ACCESS_TOKEN_MINUTES": "1440",
        # The limit and the plain application log no requests either.
        "LOG_LEVEL": "WARNING",
    }
