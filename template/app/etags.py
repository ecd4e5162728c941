"""Entity tags: which version of a resource a client has read (RFC 9110, section 8.8.3)."""

from typing import Annotated

from fastapi import Header

from app.errors import PreconditionFailedError
from app.schemas import Text

IfMatch = Annotated[
    Text | None, Header(description="Do it only if the resource still has this ETag")
]


def etag(version: int) -> str:
    return f'"{version}"'


def require_match(if_match: str | None, version: int) -> None:
    """Raise PreconditionFailedError when the client has named other versions than this one."""
    tags = {"*"} if if_match is None else {tag.strip() for tag in if_match.split(",")}
    if tags.isdisjoint({"*", etag(version)}):
        raise PreconditionFailedError("It was changed meanwhile; read it again.")
