"""The MongoDB of `app dev` and of the tests, unless there is a URL: SecantusDB, which speaks as it.

uv installs it into an environment of its own, and it is a process of its own: no part of it, which
is GPL-2.0-only, is imported, linked or shipped. It is a beta, made for development.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app import development
from app.mongo.settings import DevelopmentSettings
from app.settings import load

PACKAGE = "secantusdb==0.7.0b3"
PYTHON = ">=3.10,<3.14"  # of its wheels
# Ends when its standard input does: the kernel closes the pipe of a process that ends, however it
# ends. Fail points, with which tests make operations fail, are a test command.
PROGRAM = """
import logging, os, sys
from secantus.server import SecantusDBServer

folder, port, durability = sys.argv[1:]
logging.basicConfig(level="ERROR")
server = SecantusDBServer(
    port=int(port),
    storage_path=folder,
    sync_on_commit=durability == "durable",
    enable_test_commands=True,
)
server.start()
print(os.getpid(), server.uri, flush=True)
sys.stdin.read()
server.stop()
"""


@dataclass(frozen=True)
class Server:
    url: str
    process_id: int


@contextmanager
def in_development() -> Iterator[dict[str, str]]:
    """Yield what `app dev` sets: nothing where MONGODB_URL is set, or the URL of a server."""
    if load(DevelopmentSettings).mongodb_url:
        yield {}
        return
    development.DATA.mkdir(exist_ok=True)
    with server(development.DATA / "mongodb") as running:
        yield {"MONGODB_URL": f"{running.url}app"}


@contextmanager
def server(folder: Path | str, port: int = 0, *, is_durable: bool = False) -> Iterator[Server]:
    """Run a server on the data in the folder, or on none in `:memory:`, until the block ends.

    A durable one has written each change to the disk before it answers, and is slower.
    """
    uv = os.environ.get("UV") or shutil.which("uv")
    if not uv:
        sys.exit("MONGODB_URL is missing. Set it; or install uv, which brings a stand-in.")
    command = ["tool", "run", "--quiet", "--python", PYTHON, "--from", PACKAGE, "python", "-I"]
    durability = "durable" if is_durable else "quick"
    with subprocess.Popen(  # noqa: S603 (our own program)
        [uv, *command, "-c", PROGRAM, folder, str(port), durability],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # do not pass on Ctrl-C or a hangup
    ) as process:
        answer = process.stdout.readline().decode().split() if process.stdout else []
        if not answer:  # it has printed why
            sys.exit("The stand-in for MongoDB does not start. Set MONGODB_URL, or try again.")
        yield Server(url=answer[1], process_id=int(answer[0]))
