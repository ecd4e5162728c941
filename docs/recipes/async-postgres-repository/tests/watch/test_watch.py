"""A websocket uses the database for a moment per message, and holds nothing in between."""

import json
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from tests.samples import PASSWORD
from tests.service import POOL_SIZE, Service, put_on_sale


def opened(service: Service) -> ClientConnection:
    url = service.url.replace("http:", "ws:")
    return connect(f"{url}/api/v1/watch", proxy=None)


def ask(socket: ClientConnection, client: httpx2.Client, item_id: Any) -> Any:
    token = client.headers["Authorization"].removeprefix("Bearer ")
    socket.send(json.dumps({"token": token, "item_id": item_id}))
    return json.loads(socket.recv(timeout=30))


def test_each_answer_is_of_that_moment(service: Service, seller: httpx2.Client) -> None:
    item_id = put_on_sale(seller, stock=3)
    with opened(service) as socket:
        assert ask(socket, seller, item_id) == {"stock": 3}
        seller.patch(f"/items/{item_id}", json={"stock": 2}).raise_for_status()
        assert ask(socket, seller, item_id) == {"stock": 2}


def test_open_sockets_hold_no_slot(service: Service, seller: httpx2.Client) -> None:
    item_id = put_on_sale(seller)
    with ExitStack() as stack:
        for _ in range(3 * POOL_SIZE):
            ask(stack.enter_context(opened(service)), seller, item_id)
        assert seller.get(f"/items/{item_id}").status_code == 200


@pytest.mark.parametrize("item_id", ["1", 0, 2**63, None, 999_999_999])
def test_a_question_that_has_no_answer_closes_the_socket(
    service: Service, seller: httpx2.Client, item_id: Any
) -> None:
    with opened(service) as socket, pytest.raises(ConnectionClosedError) as closed:
        ask(socket, seller, item_id)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_a_revoked_token_closes_the_socket(service: Service) -> None:
    ada = service.sign_up()
    item_id = put_on_sale(ada)
    with opened(service) as socket:
        assert ask(socket, ada, item_id) == {"stock": 10}
        change = {"password": "another long password", "current_password": PASSWORD}
        ada.patch("/users/me", json=change).raise_for_status()
        with pytest.raises(ConnectionClosedError):
            ask(socket, ada, item_id)
