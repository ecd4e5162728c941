"""Responses that say what went wrong, as `application/problem+json` (RFC 9457)."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

# Keeps a response small, however many mistakes a body has.
MAX_ERRORS = 100
# Phrases of RFC 9110 that Python has from 3.13 on.
PHRASES = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}


class Problem(BaseModel):
    """An error, as RFC 9457 writes it."""

    type: str
    title: str
    status: int
    detail: str


class FieldError(BaseModel):
    """One invalid value and where it is."""

    loc: list[str | int]
    msg: str
    type: str


class ValidationProblem(Problem):
    """A request that is not valid."""

    errors: Annotated[list[FieldError], Field(max_length=MAX_ERRORS)]


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"

    def render(self, content: Any) -> bytes:
        # ASCII, because the name of an unknown field may contain what UTF-8 cannot encode.
        return json.dumps(content).encode()


def problem_response(
    status: int,
    detail: str,
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    content = {
        "type": "about:blank",
        "title": phrase(status),
        "status": status,
        "detail": detail,
    }
    if errors:
        content["errors"] = errors
    return ProblemResponse(content, status, headers)


def phrase(status: int) -> str:
    return PHRASES.get(status) or HTTPStatus(status).phrase
