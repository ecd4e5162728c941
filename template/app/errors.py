"""Exceptions that clients get as a problem response, made by app/error_handlers.py."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from math import ceil
from typing import Any

from app import openapi
from app import problems as responses

# Importable from here until 2.0.0; they are in app.openapi and app.problems.
problems = openapi.problems
problem = responses.problem_response
Problem = responses.Problem
FieldError = responses.FieldError
ValidationProblem = responses.ValidationProblem
ProblemResponse = responses.ProblemResponse

INVALID_REQUEST = "The request is not valid; `errors` says where."


class ProblemError(Exception):
    """An error that the client may know about. Raising one rolls the transaction back."""

    status: HTTPStatus
    headers: Mapping[str, str] = {}
    errors: Sequence[Mapping[str, Any]] = ()

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


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


class TooManyAttemptsError(ProblemError):
    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, detail: str, wait: timedelta) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(ceil(wait.total_seconds()))}


class BusyError(ProblemError):
    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers = {"Retry-After": "1"}


class InvalidError(ProblemError):
    """A value that is well formed but not acceptable."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, location: Sequence[str], message: str) -> None:
        super().__init__(INVALID_REQUEST)
        self.errors = [{"loc": list(location), "msg": message, "type": "value_error"}]


class StaleError(Exception):
    """Another request has changed the row after this one had read it.

    For queries that compare the version themselves; SQLAlchemy raises a StaleDataError of its own.
    """
