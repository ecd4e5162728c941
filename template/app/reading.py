"""GET and HEAD cannot write: their session refuses every statement that would."""

import re
from functools import lru_cache

from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

METHODS_THAT_READ = {"GET", "HEAD"}
# The execution option that marks the connections of such a session.
READS_ONLY = {"reads_only": True}

ASIDE = re.compile(r"""'[^']*'|"[^"]*"|--[^\n]*|/\*.*?\*/""", re.DOTALL)
READING = re.compile(r"\s*(SELECT|WITH|VALUES|SHOW|EXPLAIN|SAVEPOINT|RELEASE|ROLLBACK)\b", re.I)
# INTO is part of INSERT, of MERGE, and of a SELECT that creates a table. UPDATE also catches FOR
# UPDATE, whose lock would end with its statement. A semicolon may hide a second statement.
WRITING = re.compile(r"\b(INTO|UPDATE|DELETE)\b|;\s*\S", re.I)


class ReadOnlyError(Exception):
    """A GET or HEAD was about to write."""


def refuse_writes(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
    """Listen to `before_cursor_execute`. Cannot see what functions in the database write."""
    if connection.get_execution_options().get("reads_only") and not only_reads(statement):
        raise ReadOnlyError(f"GET and HEAD only read; this would write: {statement}")


def needs_commit(session: Session, *, reads: bool) -> bool:
    """Tell whether there is something to commit, or a change that a commit will refuse."""
    if not session.in_transaction():  # the caller has closed the session
        return False
    return not reads or bool(session.new or session.dirty or session.deleted)


@lru_cache(maxsize=1000)
def only_reads(statement: str) -> bool:
    bare = ASIDE.sub("", statement)
    return bool(READING.match(bare)) and not WRITING.search(bare)
