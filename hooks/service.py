"""A rendered service, and the commands that its owner types in its folder."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic, sleep
from types import MappingProxyType
from typing import IO

import httpx
import psutil

# `uv run` sets it; uv need not be on the PATH.
UV = os.environ.get("UV", "uv")

# Variables that a service must not inherit, besides its settings. Some images disable bytecode:
# each of many processes would compile its imports.
FOREIGN = re.compile(
    "VIRTUAL_ENV|UV_PROJECT.*|PYTHON(PATH|HOME|WARNINGS|DONTWRITEBYTECODE)|PYTEST.*|COV.*|PG.*"
    "|TEST_DATABASE_URL|ADMIN_PASSWORD(_FILE)?"
)

NONE: Mapping[str, str] = MappingProxyType({})


class CommandError(Exception):
    """Contains the command, everything that it wrote, and how it ended."""

    def __init__(self, command: tuple[str, ...], output: IO[bytes], ending: str) -> None:
        super().__init__(f"$ uv {' '.join(command)}\n{text_of(output).rstrip()}\n[{ending}]")


class Service:
    """The service in a folder. Its commands get their settings as environment variables.

    Its packages are in its own `.venv`, or in `venv`, which services may use one after the other.
    """

    def __init__(self, folder: Path, venv: Path | None = None) -> None:
        self.folder = folder.resolve()
        self.venv = venv

    def environment(self, settings: Mapping[str, str] = NONE) -> dict[str, str]:
        """Return the caller's environment without anything that could affect the service."""
        example = (self.folder / ".env.example").read_text("utf-8")
        documented = re.findall(r"^[# ]*([A-Z_]+)=", example, re.MULTILINE)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in documented and not FOREIGN.fullmatch(name)
        }
        place = {"UV_PROJECT_ENVIRONMENT": str(self.venv)} if self.venv else {}
        return {**inherited, **place, **settings}

    def run(self, *command: str, settings: Mapping[str, str] = NONE, timeout: float = 900) -> str:
        """Run `uv …` and return its output. Raises CommandError unless it exits with 0 in time."""
        # A file: a pipe would stay open as long as a server that the command leaves running.
        with TemporaryFile() as output:
            process = self._start(command, output, settings)
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                end(process)
                raise CommandError(command, output, f"stopped after {timeout:.0f} s") from None
            if status != 0:
                raise CommandError(command, output, f"exit {status}")
            return text_of(output)

    @contextmanager
    def serving(
        self,
        *command: str,
        base_url: str,
        settings: Mapping[str, str] = NONE,
        timeout: float = 60,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a server, `uv …`, during the block. Raises CommandError unless it becomes ready."""
        with TemporaryFile() as output:
            process = self._start(command, output, settings, new_group=True)
            try:
                deadline = monotonic() + timeout
                while not is_ready(base_url):
                    if (status := process.poll()) is not None:
                        raise CommandError(command, output, f"exit {status}")
                    if monotonic() > deadline:
                        raise CommandError(command, output, f"not ready after {timeout:.0f} s")
                    sleep(0.1)
                try:
                    yield process
                except Exception as error:
                    last = text_of(output).splitlines()[-50:]
                    error.add_note("\n".join(["The last lines of the server:", *last]))
                    raise
            finally:
                end(process)

    def processes(self) -> list[psutil.Process]:
        """Return all processes whose working directory is in the service's folder."""
        return [
            process
            for process in psutil.process_iter(["cwd"])
            if process.info["cwd"] and Path(process.info["cwd"]).is_relative_to(self.folder)
        ]

    def _start(
        self,
        command: tuple[str, ...],
        output: IO[bytes],
        settings: Mapping[str, str],
        *,
        new_group: bool = False,
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [UV, *command],
            cwd=self.folder,
            env=self.environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C interrupts the whole process group. A server gets a group of its own, which can
            # be interrupted without these hooks.
            start_new_session=new_group,
        )


def is_ready(base_url: str) -> bool:
    try:
        return httpx.get(f"{base_url}/health/ready", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Terminate a process; if it goes on, kill it and its children."""
    if process.poll() is not None:
        return
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        for child in family:
            if child.is_running():
                child.kill()


def text_of(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")
