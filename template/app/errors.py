"""Every error becomes `application/problem+json` here (RFC 9457), and nowhere else."""

import json
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from app.database import DatabaseUnavailableError, conflict, is_unavailable

logger = logging.getLogger(__name__)

INVALID = "The request is not valid; `errors` says where."

# What the rest of the application raises -------------------------------------------------


class ProblemError(Exception):
    """An error that the client may know about. Raising one rolls the transaction back."""

    status: HTTPStatus
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors: list[dict[str, Any]] = []


class UnauthorizedError(ProblemError):
    status = HTTPStatus.UNAUTHORIZED
    headers = {"WWW-Authenticate": "Bearer"}


class ForbiddenError(ProblemError):
    status = HTTPStatus.FORBIDDEN


class NotFoundError(ProblemError):
    status = HTTPStatus.NOT_FOUND


class ConflictError(ProblemError):
    status = HTTPStatus.CONFLICT


class PreconditionFailedError(ProblemError):
    status = HTTPStatus.PRECONDITION_FAILED


class InvalidError(ProblemError):
    """A value that only the database, or a second look, can tell is wrong."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, location: Sequence[str], message: str) -> None:
        super().__init__(INVALID)
        self.errors = [{"loc": list(location), "msg": message, "type": "value_error"}]


# What the client reads -------------------------------------------------------------------


class Problem(BaseModel):
    """An error, as RFC 9457 writes it."""

    type: str
    title: str
    status: int
    detail: str


class FieldError(BaseModel):
    """What is wrong, and the way to it."""

    loc: list[str | int]
    msg: str
    type: str


class ValidationProblem(Problem):
    """A request that is not valid."""

    errors: list[FieldError]


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"

    def render(self, content: Any) -> bytes:
        # ASCII, because the name of an unknown field may hold what UTF-8 cannot encode.
        return json.dumps(content).encode()


def problem(
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
    """Return the phrase of RFC 9110, which Python has for all statuses from 3.13 on."""
    renamed = {413: "Content Too Large", 422: "Unprocessable Content"}
    return renamed.get(status) or HTTPStatus(status).phrase


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Declare, for `responses=`, the problems that an operation can answer."""
    responses: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        name = "ValidationProblem" if status == HTTPStatus.UNPROCESSABLE_ENTITY else "Problem"
        schema = {"$ref": f"#/components/schemas/{name}"}
        responses[status] = {
            "description": phrase(status),
            "content": {"application/problem+json": {"schema": schema}},
        }
    return responses


def problem_schemas() -> dict[str, Any]:
    """The schemas that `problems` refers to, for the OpenAPI document."""
    _, schemas = models_json_schema(
        [(Problem, "serialization"), (ValidationProblem, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    return dict(schemas["$defs"])


# How one becomes the other ---------------------------------------------------------------


async def on_problem(_request: Request, error: ProblemError) -> Response:
    return problem(error.status, error.detail, error.errors, error.headers)


async def on_invalid(_request: Request, error: RequestValidationError) -> Response:
    # What was sent is not sent back: it may be a password, or something JSON cannot hold.
    errors = [{key: found[key] for key in ("loc", "msg", "type")} for found in error.errors()]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, INVALID, errors)


async def on_http_error(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.BAD_REQUEST:  # FastAPI could not parse the body
        return await on_problem(request, InvalidError(["body"], error.detail))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers |= allow(request)
    return problem(error.status_code, error.detail, headers=headers)


def allow(request: Request) -> dict[str, str]:
    """Name every method of the path; the router knows those of the first route that it tries."""
    for path, operations in request.app.openapi()["paths"].items():
        if compile_path(path)[0].fullmatch(request.url.path):
            return {"Allow": ", ".join(operations).upper()}
    return {}


async def on_stale_data(request: Request, _error: StaleDataError) -> Response:
    """Another request has changed the row since this one has read it."""
    if "If-Match" in request.headers:
        return problem(HTTPStatus.PRECONDITION_FAILED, "It was changed meanwhile; read it again.")
    return problem(HTTPStatus.CONFLICT, "It was changed meanwhile; read it and try again.")


async def on_database_error(request: Request, error: DBAPIError) -> Response:
    if detail := conflict(error):
        return problem(HTTPStatus.CONFLICT, detail)
    if is_unavailable(error):
        return await on_database_unavailable(request, error)
    raise error


async def on_database_unavailable(_request: Request, error: Exception) -> Response:
    logger.warning("The database is unavailable: %r", error.__cause__ or error)
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database cannot answer now; try again.",
        headers={"Retry-After": "1"},
    )


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    ProblemError: on_problem,
    RequestValidationError: on_invalid,
    HTTPException: on_http_error,
    StaleDataError: on_stale_data,
    DBAPIError: on_database_error,
    DatabaseUnavailableError: on_database_unavailable,
    PoolTimeoutError: on_database_unavailable,
}
