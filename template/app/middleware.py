"""What happens to every request, whatever it asks for."""

import logging
import re
import time
from http import HTTPStatus
from urllib.parse import quote
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import problem
from app.logs import request_id

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024

# As ASGI has them: bytes, and names in lower case.
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]


class RequestMiddleware:
    """Gives a request its id, its log line, its limit and its last resort.

    Plain ASGI: Starlette's BaseHTTPMiddleware would start a task for each request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        request_id.set(own_id(Headers(scope=scope).get("X-Request-ID", "")))
        started = time.perf_counter()
        status = 0
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"A body has at most {MAX_BODY_BYTES} bytes.",
                )
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                given = {name for name, _ in headers}
                headers += [header for header in SECURITY_HEADERS if header[0] not in given]
                headers.append((b"x-request-id", request_id.get().encode()))
            await send(message)

        try:
            await self.app(scope, receive_limited, send_with_headers)
        except Exception:
            logger.exception("The request failed")
            if status:  # too late for another answer
                raise
            response = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here.")
            await response(scope, receive, send_with_headers)
        finally:
            # Quoted, so that nobody can write a line of the log by asking for a path.
            path = quote(scope["path"])
            milliseconds = round((time.perf_counter() - started) * 1000, 1)
            logger.info(
                "%s %s %d in %s ms",
                scope["method"],
                path,
                status,
                milliseconds,
                extra={
                    "method": scope["method"],
                    "path": path,
                    "status": status,
                    "milliseconds": milliseconds,
                },
            )


def own_id(given: str) -> str:
    """The id that a proxy has given, if it is harmless, else a new one."""
    return given if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", given) else uuid4().hex
