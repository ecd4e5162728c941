"""Websockets get an id and a log line, like requests; a shutdown answers pending requests."""

import asyncio
import logging

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from app.middleware import ErrorMiddleware, RequestMiddleware


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.add_middleware(RequestMiddleware)

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        websocket.state.user_id = 7
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())

    @app.websocket("/refused")
    async def refuse(websocket: WebSocket) -> None:
        await websocket.close()

    @app.websocket("/bug")
    async def fail(_websocket: WebSocket) -> None:
        raise ArithmeticError

    return TestClient(app)


def test_a_websocket_has_an_id_and_a_log_line(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.middleware")

    with client.websocket_connect("/echo", headers={"X-Request-ID": "socket-1"}) as websocket:
        websocket.send_text("hello")
        assert websocket.receive_text() == "hello"
        assert (b"x-request-id", b"socket-1") in (websocket.extra_headers or [])

    (message,) = caplog.messages
    assert message.startswith("WEBSOCKET /echo 101 in ")
    assert message.endswith(" ms, client testclient, user 7")


def test_a_websocket_that_does_not_open_has_a_log_line(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.middleware")

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/refused"):
        pass
    with pytest.raises(ArithmeticError), client.websocket_connect("/bug"):
        pass

    assert [message.partition(" in ")[0] for message in caplog.messages] == [
        "WEBSOCKET /refused 403",
        "WEBSOCKET /bug 500",
    ]


@pytest.mark.parametrize("has_begun", [False, True])
def test_a_shutdown_answers_503_unless_the_response_has_begun(has_begun: bool) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def answer_late(_scope: Scope, _receive: Receive, send: Send) -> None:
        if has_begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()

    async def receive() -> Message:
        return {"type": "http.request"}

    async def shut_down() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        async with asyncio.timeout(0.01):  # cancels the request, as a shutdown does
            await ErrorMiddleware(answer_late)(scope, receive, send)

    with pytest.raises(TimeoutError):
        asyncio.run(shut_down())

    assert sent[0]["status"] == (200 if has_begun else 503)
    assert len(sent) == (1 if has_begun else 2)
