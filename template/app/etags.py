"""Entity tags: the version of a resource that a client has read (RFC 9110, section 8.8.3)."""

from typing import Annotated

from fastapi import Depends, Header, Request

from app.errors import PreconditionFailedError
from app.schemas import Text


# `async`, though it awaits nothing: FastAPI would call a plain function in a thread.
async def read_if_match(
    request: Request,
    _first: Annotated[
        Text | None,
        Header(alias="If-Match", description="Proceed only if the resource still has this ETag"),
    ] = None,
) -> str | None:
    """Join repeated headers into one list (RFC 9110, section 5.3): FastAPI reads only the first."""
    lines = request.headers.getlist("If-Match")
    return ", ".join(lines) if lines else None


IfMatch = Annotated[str | None, Depends(read_if_match)]


def etag(version: int) -> str:
    return f'"{version}"'


def require_match(if_match: str | None, version: int) -> None:
    """Raise PreconditionFailedError unless If-Match is absent or names this version.

    The comparison is strong: a weak tag, `W/"1"`, matches nothing (RFC 9110, section 13.1.1).
    """
    if if_match is None or if_match.strip(" \t") == "*":
        return
    if etag(version) not in {tag.strip(" \t") for tag in if_match.split(",")}:
        raise PreconditionFailedError("It was changed meanwhile; read it again.")
