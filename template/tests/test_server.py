"""The server limits how much clients send, how slowly, and how long answers wait for them."""

import asyncio
import json
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from app.server import MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED, LimitedProtocol
from tests.service import THREADS

Address = tuple[str, int]

GET = b"GET / HTTP/1.1\r\nHost: test\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSING = b"Connection: close\r\n"
LAST_CHUNKED = CHUNKED.removesuffix(b"\r\n") + CLOSING + b"\r\n"
FLOODS = {
    "path": (b"GET /", b"a", 414),
    "query": (b"GET /?", b"a=1&", 414),
    "value": (GET + b"X: ", b"a", 431),
    "blanks": (GET + b"X:", b" ", 431),
    "name": (GET + b"X", b"a", 431),
    "headers": (GET, b"X: " + b"a" * 1000 + b"\r\n", 431),
    "empty lines": (b"", b"\r\n", 431),
    "extension": (CHUNKED + b"1;x=", b"a", 431),
    "extensions": (CHUNKED, b"1;" + b"a" * 1000 + b"\r\nx\r\n", 431),
    "trailer": (CHUNKED + b"0\r\nX: ", b"a", 431),
    "trailers": (CHUNKED + b"0\r\n", b"X: " + b"a" * 1000 + b"\r\n", 431),
}


class QuickProtocol(LimitedProtocol):
    close_seconds = 0.1


class PatientProtocol(LimitedProtocol):
    close_seconds = 0.5  # long enough for the application to answer too


class ImpatientProtocol(QuickProtocol):
    head_seconds = 0.3
    write_seconds = 0.3


@contextmanager
def served(
    app: ASGIApp, protocol: type[LimitedProtocol] = QuickProtocol, **options: Any
) -> Iterator[Address]:
    """Serve an application in a thread."""
    options |= {"lifespan": "off", "timeout_graceful_shutdown": 5, "log_level": "critical"}
    server = uvicorn.Server(uvicorn.Config(app, http=protocol, **options))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = THREADS.submit(server.run, [listener])
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            running.result()


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the names of the headers and the length of the body."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while text := (await receive()).get("text"):
            await send({"type": "websocket.send", "text": text})
        return
    length, more = 0, scope["path"] != "/ignores-the-body"
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    names = sorted({name.decode() for name, _ in scope["headers"]})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps([names, length]).encode()})


@pytest.fixture(scope="module")
def server() -> Iterator[Address]:
    with served(echo) as address:
        yield address


@pytest.fixture(scope="module")
def impatient() -> Iterator[Address]:
    with served(echo, ImpatientProtocol, timeout_keep_alive=0.4) as address:
        yield address


@contextmanager
def connected(address: Address, *parts: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=30) as client:
        for part in parts:
            client.sendall(part)
        yield client


def rest_of(client: socket.socket) -> bytes:
    """Return what the server sends until it closes the connection."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def ask(address: Address, *parts: bytes) -> bytes:
    with connected(address, *parts) as client:
        return rest_of(client)


def is_problem(answer: bytes, status: int) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    return (
        head.startswith(b"HTTP/1.1 %d " % status)
        and b"content-type: application/problem+json" in head
        and b"connection: close" in head
        and json.loads(body)["status"] == status
    )


@pytest.mark.parametrize(("begin", "repeat", "status"), FLOODS.values(), ids=FLOODS)
def test_endless_heads_are_refused(
    server: Address, begin: bytes, repeat: bytes, status: int
) -> None:
    flood = begin + repeat * (2 * MAX_HEAD_BYTES // len(repeat))

    assert is_problem(ask(server, flood), status)


@pytest.mark.parametrize(("more", "status"), [(0, 200), (2, 431)])
def test_heads_above_the_limit_are_431(server: Address, more: int, status: int) -> None:
    begin, end = GET + CLOSING + b"X: ", b"\r\n\r\n"
    head = begin + b"a" * (MAX_HEAD_BYTES - len(begin) - len(end) + more) + end

    assert ask(server, head).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(("count", "status"), [(MAX_HEADERS, 200), (MAX_HEADERS + 1, 431)])
def test_too_many_headers_are_431(server: Address, count: int, status: int) -> None:
    head = GET + CLOSING + b"X: 1\r\n" * (count - 2) + b"\r\n"

    assert ask(server, head).startswith(b"HTTP/1.1 %d " % status)


def test_bodies_do_not_count_as_heads(server: Address) -> None:
    size = 3 * MAX_HEAD_BYTES

    for chunks in (b"1\r\nx\r\n" * size, b"%x\r\n%b\r\n" % (size, bytes(size))):
        assert b"%d]" % size in ask(server, LAST_CHUNKED, chunks, b"0\r\n\r\n")


def test_trailers_are_not_headers(server: Address) -> None:
    answer = ask(server, LAST_CHUNKED, b"1\r\nx\r\n0\r\nAuthorization: Bearer x\r\n\r\n")

    assert b'[["connection", "host", "transfer-encoding"], 1]' in answer


@pytest.mark.parametrize(
    "sent", [b"hunter2\r\n\r\n", b"hunter2" * MAX_HEAD_BYTES, CHUNKED + b"hunter2\r\n"]
)
def test_malformed_requests_are_400(server: Address, sent: bytes) -> None:
    assert is_problem(ask(server, sent), 400)


def test_pipelined_requests_above_the_limit_are_dropped(server: Address) -> None:
    answers = ask(server, (GET + b"\r\n") * 1000)

    assert answers.count(b"HTTP/1.1 200 OK") == 1 + MAX_PIPELINED


def test_a_refusal_does_not_replace_an_earlier_answer(server: Address) -> None:
    answers = ask(server, GET + b"\r\nhunter2\r\n\r\n")

    assert answers.startswith(b"HTTP/1.1 200 OK")
    assert answers.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("sent", [GET, b"\r\n", GET + b"X: 1\r\nX"])
def test_slow_heads_are_408(impatient: Address, sent: bytes) -> None:
    assert is_problem(ask(impatient, sent), 408)


def test_silent_connections_are_closed(impatient: Address) -> None:
    assert ask(impatient) == b""


def test_a_slow_second_head_is_408(impatient: Address) -> None:
    with connected(impatient, GET + b"\r\n") as client:
        client.recv(65536)
        client.sendall(GET)

        assert is_problem(rest_of(client), 408)


@pytest.mark.parametrize("body", [b"123", b"1234"])
def test_an_unread_body_does_not_keep_a_connection(impatient: Address, body: bytes) -> None:
    head = b"POST /ignores-the-body HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n"
    with connected(impatient, head) as client:
        answer = client.recv(65536)
        client.sendall(body)

        assert (answer + rest_of(client)).startswith(b"HTTP/1.1 200 OK")


def test_an_unread_answer_is_aborted() -> None:
    aborted = Event()

    async def endless(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        disconnected = asyncio.ensure_future(receive())
        while not disconnected.done():
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
            await asyncio.sleep(0)
        aborted.set()

    with served(endless, ImpatientProtocol) as address, connected(address, GET + b"\r\n"):
        assert aborted.wait(timeout=30)


def test_a_large_answer_is_complete() -> None:
    size = 20 * 2**20

    async def large(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(size // 65536):
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
        await send({"type": "http.response.body"})

    with served(large) as address:
        assert len(ask(address, GET + CLOSING + b"\r\n")) > size


def test_a_body_that_turns_invalid_ends_a_begun_answer() -> None:
    async def begin(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await receive()

    with served(begin) as address, connected(address, CHUNKED + b"1\r\nx\r\n") as client:
        answer = client.recv(65536)
        client.sendall(b"hunter2\r\n")

        assert (answer + rest_of(client)).count(b"HTTP/1.1 ") == 1


def test_a_body_that_turns_invalid_is_answered_once() -> None:
    refused = Event()

    async def late(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.wrap_future(THREADS.submit(refused.wait, timeout=30))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"too late"})

    with (
        served(late, PatientProtocol) as address,
        connected(address, CHUNKED + b"1\r\nx\r\n", b"hunter2\r\n") as client,
    ):
        answer = client.recv(65536)
        refused.set()

        assert is_problem(answer + rest_of(client), 400)


def test_websockets_have_no_time_limit(impatient: Address) -> None:
    handshake = (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with connected(impatient, GET + b"\r\n") as client:
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.sendall(GET + handshake)
        assert client.recv(65536).startswith(b"HTTP/1.1 101 ")
        # Longer than a head or an idle connection may take.
        assert not select.select([client], [], [], 1)[0]
        client.sendall(b"\x81\x85\0\0\0\0hello")
        assert client.recv(65536) == b"\x81\x05hello"
