"""The server: uvicorn, with limits on what a client sends before the application sees it."""

import logging
from asyncio import TimerHandle
from http import HTTPStatus
from typing import Any, Literal

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.logs import log_config
from app.problems import phrase, problem_response
from app.settings import Settings

logger = logging.getLogger(__name__)

# Everything but the body: request line, headers, and the extensions and trailers of chunks.
MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100
# The size line of a chunk counts as head above this length only.
CHUNK_BYTES = 16
# Requests on a connection that wait for the response to an earlier one.
MAX_PIPELINED = 20

DETAILS = {
    HTTPStatus.BAD_REQUEST: "This is not a valid HTTP request.",
    HTTPStatus.REQUEST_TIMEOUT: "The head of the request took too long to arrive.",
    HTTPStatus.REQUEST_URI_TOO_LONG: f"URL and headers have at most {MAX_HEAD_BYTES} bytes.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        f"URL and headers have at most {MAX_HEAD_BYTES} bytes, and there are at most "
        f"{MAX_HEADERS} headers."
    ),
}


def run(
    settings: Settings,
    log_style: Literal["json", "console"],
    app: str = "app.asgi:app",
    **options: Any,
) -> None:
    """Serve the application; options are passed to uvicorn."""
    uvicorn.run(
        app,
        http="app.server:LimitedProtocol",
        access_log=False,
        log_config=log_config(log_style, settings.log_level),
        ws_max_size=settings.max_body_bytes,
        # A worker cannot answer its first health check before it has imported the application.
        timeout_worker_healthcheck=60,
        **options,
    )


class LimitedProtocol(HttpToolsProtocol):
    """Limits the size of a request's head, its time to arrive, and the time to send a response.

    uvicorn has no such limits for httptools. `app.limits` limits the body.
    """

    head_seconds = 10.0
    close_seconds = 2.0  # for the client to read the refusal
    write_seconds = 60.0  # without any progress

    url = b""
    head_bytes = 0  # of the current request
    in_body = False
    refused = False
    invalid = HTTPStatus.BAD_REQUEST
    read_timer: TimerHandle | None = None
    write_timer: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.start_timer(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # Feed the parser no more than one head at a time, so that it buffers no more.
        while data and not self.refused:
            room = MAX_HEAD_BYTES + 1 - self.head_bytes
            piece, data = data[:room], data[room:]
            self.head_bytes += len(piece)
            super().data_received(piece)
            if self.head_bytes > MAX_HEAD_BYTES:
                self.refuse(
                    HTTPStatus.REQUEST_URI_TOO_LONG
                    if len(self.url) > MAX_HEAD_BYTES // 2
                    else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                )
        if self.head_bytes and not (self.in_body or self.refused or self.read_timer):
            self.start_timer(self.head_seconds)

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        self.refused = True  # the connection belongs to another protocol now

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.stop_timer()
        if len(self.headers) > MAX_HEADERS:
            self.invalid = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ValueError("too many headers")
        super().on_headers_complete()
        self.in_body = True
        if not self.parser.should_upgrade():
            self.headers = []  # collects trailers from here on

    def on_chunk_header(self) -> None:
        self.head_bytes = max(0, self.head_bytes - CHUNK_BYTES)

    def on_body(self, body: bytes) -> None:
        self.head_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.head_bytes = 0
        self.in_body = False

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.in_body and self.cycle.response_complete:
            # Nobody reads the rest of the body, which would keep the connection open.
            self.start_timer(self.timeout_keep_alive)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's)
        self.refuse(self.invalid)

    def refuse(self, status: HTTPStatus) -> None:
        """Stop reading, respond if that is still possible, and close the connection."""
        if self.refused:
            return
        self.refused = True
        self.stop_timer()
        answered = not self.cycle or self.cycle.response_complete
        if not answered and not self.in_body:
            self.cycle.keep_alive = False  # close after the responses to earlier requests
            return
        if self.in_body and self.cycle.response_started:
            self.transport.close()
            return
        if self.in_body:  # respond in place of the application
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        logger.info("Refused a request from %s: %d", self.client and self.client[0], status)
        response = problem_response(status, DETAILS[status], headers={"Connection": "close"})
        headers = [*self.server_state.default_headers, *response.raw_headers]
        lines = [b"HTTP/1.1 %d %b" % (status, phrase(status).encode())]
        lines += [b"%b: %b" % header for header in headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        # Close later: data that still arrives after a close makes the client discard the response.
        self.start_timer(self.close_seconds)

    def time_out(self) -> None:
        if self.head_bytes and not (self.in_body or self.refused):
            self.refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def start_timer(self, seconds: float) -> None:
        self.stop_timer()
        self.read_timer = self.loop.call_later(seconds, self.time_out)

    def stop_timer(self) -> None:
        if self.read_timer:
            self.read_timer.cancel()
            self.read_timer = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self.write_timer = self.loop.call_later(self.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self.write_timer:
            self.write_timer.cancel()
            self.write_timer = None
        super().resume_writing()
