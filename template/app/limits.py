"""Limits on requests: how many at once, how large a body, and how long it may take to arrive."""

from asyncio import get_running_loop, timeout_at
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import problem_response

BODY_SECONDS = 20.0
# Each time this many bytes have arrived, the deadline moves by one second.
BODY_BYTES_PER_SECOND = 1024

BUSY = "There are too many requests at once; try again."
RETRY = {"Retry-After": "1"}


class ConcurrencyLimit:
    """Answers 503 above a number of concurrent requests per process.

    A request does not count while its client still sends the body. Health checks and websockets are
    not limited.
    """

    def __init__(self, app: ASGIApp, requests: int) -> None:
        self.app = app
        self.requests = requests
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/health/"):
            await self.app(scope, receive, send)
            return
        if self.running >= self.requests:
            response = problem_response(HTTPStatus.SERVICE_UNAVAILABLE, BUSY, headers=RETRY)
            await response(scope, receive, send)
            return

        has_body = False

        async def receive_body() -> Message:
            nonlocal has_body
            if has_body:
                return await receive()
            self.running -= 1
            try:
                message = await receive()
            finally:
                self.running += 1
            has_body = not message.get("more_body", False)
            if self.running > self.requests:  # others came while the body arrived
                raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, BUSY, RETRY)
            return message

        self.running += 1
        try:
            await self.app(scope, receive_body, send)
        finally:
            self.running -= 1


class BodyLimit:
    """Answers 413 to a body that is too large, and 408 to one that takes too long to arrive."""

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float = BODY_SECONDS) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.seconds = seconds
        self.too_large = f"A body has at most {max_bytes} bytes."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > self.max_bytes:
            response = problem_response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self.too_large)
            await response(scope, receive, send)
            return

        loop = get_running_loop()
        deadline = loop.time() + self.seconds
        received = 0
        has_body = False

        async def receive_body() -> Message:
            nonlocal received, has_body
            if has_body:
                return await receive()
            try:
                async with timeout_at(deadline + received / BODY_BYTES_PER_SECOND):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    HTTPStatus.REQUEST_TIMEOUT,
                    "The body of the request took too long to arrive.",
                    {"Connection": "close"},
                ) from None
            has_body = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self.too_large)
            return message

        await self.app(scope, receive_body, send)
