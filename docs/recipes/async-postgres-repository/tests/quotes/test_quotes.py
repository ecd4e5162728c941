"""A quote asks another service, and nobody waits for that but the client who wants it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from tests import database
from tests.service import Service, in_background, is_unavailable, put_on_sale, running

RATE = b'{"rate": "1.105"}'


@dataclass
class Rates:
    """Another service, which answers when it may."""

    url: str
    body: bytes = RATE
    asked: Event = field(default_factory=Event)
    may_answer: Event = field(default_factory=Event)


@pytest.fixture(scope="module")
def other_service() -> Iterator[Rates]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            other.asked.set()
            other.may_answer.wait(30)
            if other.body:  # otherwise it hangs up
                self.send_response(200)
                self.send_header("Content-Length", str(len(other.body)))
                self.end_headers()
                self.wfile.write(other.body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        other = Rates(f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever).start()
        yield other
        server.shutdown()


@pytest.fixture
def rates(other_service: Rates) -> Iterator[Rates]:
    other_service.asked.clear()
    other_service.may_answer.clear()
    other_service.body = RATE
    yield other_service
    other_service.may_answer.set()


@pytest.fixture(scope="module")
def server(folder: Path, other_service: Rates) -> Iterator[Service]:
    """Run a service with a single slot."""
    settings = {"POOL_SIZE": "1", "RATES_URL": other_service.url}
    with (
        database.created() as url,
        running("serve", folder=folder, DATABASE_URL=url, **settings) as service,
    ):
        yield service


def test_no_slot_is_held_while_the_other_service_thinks(server: Service, rates: Rates) -> None:
    ada = server.sign_up()
    item_id = put_on_sale(ada)
    body = {"item_id": item_id, "currency": "CHF"}
    with in_background([partial(ada.post, "/quotes", json=body)] * 5) as quotes:
        assert rates.asked.wait(30)
        # The service has one slot, and five quotes are being made.
        assert ada.get(f"/items/{item_id}").status_code == 200
        assert not any(quote.done() for quote in quotes)
        rates.may_answer.set()

    assert [quote.result().json()["price"] for quote in quotes] == ["13.81"] * 5


def test_a_stranger_does_not_reach_the_other_service(server: Service, rates: Rates) -> None:
    response = server.client().post("/quotes", json={"item_id": 1, "currency": "CHF"})

    assert response.status_code == 401
    assert not rates.asked.is_set()


@pytest.mark.parametrize("body", [b'{"rate": "-1"}', b"<html>", b""], ids=str)
def test_a_service_that_fails_is_503_and_stores_nothing(
    server: Service, rates: Rates, body: bytes
) -> None:
    rates.body = body
    rates.may_answer.set()
    ada = server.sign_up()
    item_id = put_on_sale(ada)

    assert is_unavailable(ada.post("/quotes", json={"item_id": item_id, "currency": "CHF"}))

    stored = f"SELECT id FROM quotes WHERE item_id = {item_id}"
    assert database.execute(server.database_url, stored) == []
