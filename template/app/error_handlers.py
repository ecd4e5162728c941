"""Handlers: every exception becomes a problem response here, and nowhere else."""

import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect

from app.database_errors import DatabaseUnavailableError, conflict, is_unavailable, is_unstorable
from app.errors import INVALID_REQUEST, InvalidError, ProblemError, StaleError
from app.openapi import allowed_methods
from app.problems import MAX_ERRORS, problem_response
from app.schemas import in_words

logger = logging.getLogger(__name__)

UNREADABLE_BODY = "There was an error parsing the body"  # the detail of FastAPI's 400


async def handle_problem(_request: Request, error: ProblemError) -> Response:
    return problem_response(error.status, error.detail, error.errors, error.headers)


async def handle_invalid_request(_request: Request, error: RequestValidationError) -> Response:
    # Without the input: it may be a password, or something that JSON cannot express.
    errors = [
        {"loc": found["loc"], "msg": in_words(found), "type": found["type"]}
        for found in error.errors()[:MAX_ERRORS]
    ]
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, INVALID_REQUEST, errors)


async def handle_http_exception(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if error.detail == UNREADABLE_BODY or isinstance(error.__context__, MultiPartException):
        return await handle_problem(request, InvalidError(["body"], error.detail))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = allowed_methods(request) or headers.get("Allow", "")
    return problem_response(error.status_code, error.detail, headers=headers)


async def handle_disconnect(_request: Request, _error: ClientDisconnect) -> Response:
    """Nobody reads this answer: the client left before its body was complete."""
    return problem_response(HTTPStatus.BAD_REQUEST, "The body is incomplete.")


async def handle_stale_data(request: Request, _error: StaleDataError | StaleError) -> Response:
    """Answer a lost race: another request changed the row after this one had read it."""
    heeds_if_match = HTTPStatus.PRECONDITION_FAILED in request.scope["route"].responses
    if heeds_if_match and "If-Match" in request.headers:
        detail = "It was changed meanwhile; read it again."
        return problem_response(HTTPStatus.PRECONDITION_FAILED, detail)
    detail = "It was changed meanwhile; read it and try again."
    return problem_response(HTTPStatus.CONFLICT, detail)


async def handle_database_error(request: Request, error: DBAPIError) -> Response:
    if detail := conflict(error):
        return problem_response(HTTPStatus.CONFLICT, detail)
    if is_unstorable(error):
        place = "query" if request.method in {"GET", "HEAD"} else "body"
        invalid = InvalidError([place], "The database cannot store this.")
        return await handle_problem(request, invalid)
    if is_unavailable(error):
        return await handle_database_unavailable(request, error)
    raise error


async def handle_database_unavailable(_request: Request, error: Exception) -> Response:
    logger.warning("The database is unavailable: %r", error.__cause__ or error)
    return problem_response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database cannot answer now; try again.",
        headers={"Retry-After": "1"},
    )


async def handle_bug(_request: Request, _error: Exception) -> Response:
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here.")


# All `async`, though few await: Starlette would run plain functions in a thread.
HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    ProblemError: handle_problem,
    RequestValidationError: handle_invalid_request,
    HTTPException: handle_http_exception,
    ClientDisconnect: handle_disconnect,
    StaleDataError: handle_stale_data,
    StaleError: handle_stale_data,
    DBAPIError: handle_database_error,
    DatabaseUnavailableError: handle_database_unavailable,
    PoolTimeoutError: handle_database_unavailable,
    Exception: handle_bug,  # of a middleware; ErrorMiddleware answers all others
}
