"""What happens to every request, whatever it asks for: the ASGI middlewares."""

import logging
import re
import time
from asyncio import CancelledError
from http import HTTPStatus
from urllib.parse import quote
from uuid import uuid4

from opentelemetry import trace
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.error_handlers import handle_bug
from app.logs import request_id
from app.problems import problem_response

logger = logging.getLogger(__name__)

# As ASGI has them: bytes, and names in lower case.
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
# The ASGI messages that have response headers.
STARTS = {"http.response.start", "websocket.accept", "websocket.http.response.start"}


class RequestMiddleware:
    """Gives each request and websocket an id and a log line.

    Plain ASGI, like the others here: Starlette's BaseHTTPMiddleware starts a task per request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        request_id.set(accepted_request_id(Headers(scope=scope).get("X-Request-ID", "")))
        trace.get_current_span().set_attribute("request_id", request_id.get())
        scope.setdefault("state", {})  # where get_current_user leaves the user's id
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in STARTS:
                status = message.get("status", HTTPStatus.SWITCHING_PROTOCOLS)
                header = (b"x-request-id", request_id.get().encode())
                message["headers"] = [*message.get("headers", ()), header]
            elif message["type"] == "websocket.close":
                status = status or HTTPStatus.FORBIDDEN
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            # What the server answers when nothing else has.
            status = status or HTTPStatus.INTERNAL_SERVER_ERROR
            raise
        finally:
            log_request(scope, status, time.perf_counter() - started)


def accepted_request_id(proposed: str) -> str:
    """Return the id that a proxy proposes, if it is harmless, else a new one."""
    return proposed if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", proposed) else uuid4().hex


def log_request(scope: Scope, status: int, seconds: float) -> None:
    fields = {
        "method": scope.get("method", "WEBSOCKET"),
        # Quoted, so that a path cannot forge a log line.
        "path": quote(scope["path"]),
        "status": int(status),
        "milliseconds": round(seconds * 1000, 1),
        "client": scope["client"][0] if scope.get("client") else None,
        "user_id": scope["state"].get("user_id"),
    }
    message = "%(method)s %(path)s %(status)d in %(milliseconds)s ms"
    logger.info(f"{message}, client %(client)s, user %(user_id)s", fields, extra=fields)


class SecurityHeaders:
    """Adds headers that restrict what a browser does with a response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] in STARTS:
                headers = list(message.get("headers", ()))
                names = {name for name, _ in headers}
                headers += [header for header in SECURITY_HEADERS if header[0] not in names]
                message["headers"] = headers
            await send(message)

        await self.app(scope, receive, send_with_headers)


class CORS(CORSMiddleware):
    """Lets pages of other origins call the API. Refusals are problem responses, like all errors."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < HTTPStatus.BAD_REQUEST:
            return response
        headers = {
            name: value
            for name, value in response.headers.items()
            if not name.startswith("content-")
        }
        detail = bytes(response.body).decode()
        return problem_response(response.status_code, detail, headers=headers)


class ErrorMiddleware:
    """Answers an unexpected error with 500, and logs it; answers 503 when the server stops."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        has_begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except CancelledError:  # the server stops, and its grace period is over
            if not has_begun:
                stopping = problem_response(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "The service is stopping; try again.",
                    headers={"Retry-After": "1"},
                )
                await stopping(scope, receive, send)
            raise
        except Exception as error:
            logger.exception("The request failed")
            if has_begun:  # too late for a response of our own
                raise
            response = await handle_bug(Request(scope), error)
            await response(scope, receive, send)


class HeadMiddleware:
    """Answers HEAD as GET, without the body (RFC 9110, section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            await send({**message, "body": b""} if "body" in message else message)

        await self.app({**scope, "method": "GET"}, receive, send_without_body)
