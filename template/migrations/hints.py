"""What to type when Alembic refuses a command, above all when the migrations have several heads.

A project with migrations of its own has two heads once an update of the template brings another.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from alembic.util import CommandError

MERGE = 'uv run alembic merge heads -m "merge"'
# By a part of Alembic's message.
HINTS = {
    "Ambiguous": "Name a revision instead; `uv run alembic history` lists them.",  # -1 and +1
    "Multiple head": f"Type `heads` instead of `head`, or join them first: `{MERGE}`.",
    "not up to date": "Type `uv run alembic upgrade heads` first.",
}


@contextmanager
def explained() -> Iterator[None]:
    """Run a command; raise CommandError with what to type instead, where that is known."""
    try:
        require_one_head()
        yield
    except CommandError as error:
        hint = hint_for(str(error))
        if not hint:
            raise
        raise CommandError(f"{str(error).rstrip('.')}. {hint}") from error.__cause__ or error


def hint_for(message: str) -> str | None:
    unknown = re.search("revision identified by ('.+')", message)
    if not unknown:
        return next((hint for part, hint in HINTS.items() if part in message), None)
    if unknown[1] in str(context.config.cmd_opts):
        return "`uv run alembic history` lists those that there are."
    # Not the command, so the database names it.
    return (
        "Get its file in migrations/versions back, or start with an empty database: in "
        "development, delete .data/."
    )


def require_one_head() -> None:
    """Raise CommandError when a migration is to be generated, and could follow several."""
    options = context.config.cmd_opts
    generates = options and getattr(options, "autogenerate", False) and not options.head
    try:
        heads = context.script.get_heads()
    except KeyError as error:
        raise CommandError(
            f"There is no migration {error}, which another one follows. Get its file in "
            "migrations/versions back, or correct `down_revision` of the other."
        ) from error
    # Alembic itself would first ask for an `upgrade`, and does not say how to merge.
    if generates and len(heads) > 1:
        raise CommandError(
            f"The migrations have {len(heads)} heads. Type `{MERGE}` and "
            "`uv run alembic upgrade heads` first."
        )
