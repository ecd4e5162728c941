"""Limits on concurrent requests, on the size of a body and on the time it takes to arrive."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from threading import Event, Semaphore

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from app.error_handlers import HANDLERS
from app.limits import BodyLimit, ConcurrencyLimit
from tests.service import NO_CERTIFICATES, THREADS, is_unavailable
from tests.test_server import GET, LAST_CHUNKED, Address, ask, is_problem, rest_of, served

POST = b"POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


class Work:
    """Requests that have begun, and wait until they may end."""

    def __init__(self) -> None:
        self.begun = Semaphore(0)
        self.may_end = Event()

    async def run(self) -> None:
        self.begun.release()
        assert await asyncio.wrap_future(THREADS.submit(self.may_end.wait, timeout=30))

    def wait_for(self, requests: int) -> None:
        for _ in range(requests):
            assert self.begun.acquire(timeout=30)


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.may_end.set()


@pytest.fixture
def app(work: Work) -> FastAPI:
    app = FastAPI(exception_handlers=HANDLERS)

    @app.get("/")
    @app.get("/health/live")
    async def answer() -> None: ...

    @app.get("/work")
    async def answer_later() -> None:
        await work.run()

    @app.post("/")
    async def answer_a_body(request: Request) -> int:
        body = await request.body()
        await work.run()
        return len(body)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            await work.run()
            yield "whole"

        return StreamingResponse(parts())

    return app


def connect(clients: ExitStack, address: Address, sent: bytes) -> socket.socket:
    client = clients.enter_context(socket.create_connection(address, timeout=30))
    client.sendall(sent)
    return client


def get(address: Address, path: str) -> httpx2.Response:
    return httpx2.get(f"http://{address[0]}:{address[1]}{path}", verify=NO_CERTIFICATES)


@pytest.mark.parametrize("path", [b"/work", b"/stream"])
def test_requests_above_the_limit_are_503_and_health_checks_are_not(
    app: FastAPI, work: Work, path: bytes
) -> None:
    app.add_middleware(BodyLimit, max_bytes=1000)
    app.add_middleware(ConcurrencyLimit, requests=2)
    with served(app) as address, ExitStack() as clients:
        request = b"GET %b HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n" % path
        under_way = [connect(clients, address, request) for _ in range(2)]
        work.wait_for(2)

        assert is_unavailable(get(address, "/"))
        assert get(address, "/health/live").status_code == 200

        work.may_end.set()
        for client in under_way:
            assert rest_of(client).startswith(b"HTTP/1.1 200 ")
        assert get(address, "/").status_code == 200


def test_requests_do_not_count_until_they_have_arrived(app: FastAPI) -> None:
    app.add_middleware(ConcurrencyLimit, requests=2)
    with served(app) as address, ExitStack() as clients:
        for sent in (b"", GET, POST % 2 + b"1"):
            for _ in range(5):
                connect(clients, address, sent)

        assert get(address, "/").status_code == 200


def test_a_request_counts_when_its_body_has_arrived(app: FastAPI, work: Work) -> None:
    app.add_middleware(ConcurrencyLimit, requests=2)
    with served(app) as address, ExitStack() as clients:
        slow = [connect(clients, address, POST % 2 + b"1") for _ in range(3)]
        assert get(address, "/").status_code == 200  # the three bodies are incomplete
        for client in slow[:2]:
            client.sendall(b"2")
        work.wait_for(2)
        slow[2].sendall(b"2")

        assert is_problem(rest_of(slow[2]), 503)
        work.may_end.set()
        for client in slow[:2]:
            assert rest_of(client).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_takes_too_long_is_408(app: FastAPI) -> None:
    app.add_middleware(BodyLimit, max_bytes=1000, seconds=0.1)
    with served(app) as address:
        assert is_problem(ask(address, POST % 2 + b"1"), 408)


def test_a_large_body_has_more_time(app: FastAPI, work: Work) -> None:
    app.add_middleware(BodyLimit, max_bytes=100_000, seconds=0.1)
    work.may_end.set()
    with served(app) as address, ExitStack() as clients:
        client = connect(clients, address, POST % 50_001 + bytes(50_000))
        assert get(address, "/").status_code == 200
        # Longer than the timeout of a small body.
        assert not Event().wait(0.5)
        client.sendall(b"1")

        assert rest_of(client).endswith(b"50001")


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413)])
def test_a_large_body_is_413_before_it_is_sent(
    app: FastAPI, work: Work, size: int, status: int
) -> None:
    app.add_middleware(BodyLimit, max_bytes=1000)
    work.may_end.set()
    with served(app) as address, ExitStack() as clients:
        client = connect(clients, address, POST % size)
        if status == 200:
            client.sendall(bytes(size))

        assert rest_of(client).startswith(b"HTTP/1.1 %d " % status)


def test_a_large_body_in_chunks_is_413(app: FastAPI, work: Work) -> None:
    app.add_middleware(BodyLimit, max_bytes=1000)
    work.may_end.set()
    with served(app) as address:
        answer = ask(address, LAST_CHUNKED, b"3e9\r\n" + bytes(1001) + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 413 ")
