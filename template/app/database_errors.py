"""What a database error means to a client; app/error_codes.py has the codes."""

from sqlalchemy.exc import DBAPIError

from app.error_codes import BROKEN_REFERENCE, CONFLICTS, DUPLICATE, UNAVAILABLE, UNSTORABLE, code


class DatabaseUnavailableError(Exception):
    """The database cannot be reached, or does not answer. Its cause says why."""


def conflict(error: DBAPIError) -> str | None:
    """Return the message for a request that a constraint refused; None for any other error."""
    if not is_broken_reference(error):
        return CONFLICTS.get(code(error))
    # Both ends of a foreign key have the same code, and the message may be in any language: only
    # the statement tells them apart. A commit, which checks deferred constraints, has none.
    verb = (error.statement or "").lstrip()[:6].upper()
    if verb == "DELETE":
        return "Something else depends on this."
    if verb in {"INSERT", "UPDATE"}:
        return "This refers to something that does not exist."
    return "This would leave a reference to something that does not exist."


def is_duplicate(error: DBAPIError) -> bool:
    """Whether a unique constraint or index refused a row, because another one has its values."""
    return code(error) in DUPLICATE


def is_broken_reference(error: DBAPIError) -> bool:
    """Whether a foreign key refused a row."""
    return code(error) == BROKEN_REFERENCE


def is_unstorable(error: DBAPIError) -> bool:
    """Whether the database cannot store a value at all; `UNSTORABLE` has the codes."""
    return code(error).startswith(UNSTORABLE)


def is_unavailable(error: DBAPIError) -> bool:
    """Whether the same request could succeed later, perhaps on another connection."""
    return error.connection_invalidated or code(error).startswith(UNAVAILABLE)
