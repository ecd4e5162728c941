"""Many requests at once, in real transactions: one that is rolled back would show no race."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import uuid4

import httpx2
import pytest

from tests import database
from tests.service import PASSWORD, POOL_SIZE, Service

CLIENTS = 16


def email() -> str:
    return f"{uuid4().hex}@example.com"


def at_once(requests: Sequence[Callable[[], httpx2.Response]]) -> list[httpx2.Response]:
    with ThreadPoolExecutor(len(requests)) as threads:
        return [future.result() for future in [threads.submit(request) for request in requests]]


def statuses(responses: Sequence[httpx2.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


@pytest.fixture
def seller(service: Service) -> httpx2.Client:
    return service.sign_up(email())


@pytest.fixture
def buyer(service: Service) -> httpx2.Client:
    return service.sign_up(email())


def create_item(seller: httpx2.Client, stock: int = 10) -> dict[str, int]:
    body = {"name": "Lamp", "price": "1.00", "stock": stock}
    item: dict[str, int] = seller.post("/items", json=body).raise_for_status().json()
    return item


def stock(client: httpx2.Client, item: dict[str, int]) -> int:
    in_stock: int = client.get(f"/items/{item['id']}").json()["stock"]
    return in_stock


def test_one_email_is_registered_once(service: Service) -> None:
    user = {"email": email(), "name": "Ada", "password": PASSWORD}
    client = service.client()

    responses = at_once([partial(client.post, "/users", json=user)] * CLIENTS)

    assert statuses(responses) == {201: 1, 409: CLIENTS - 1}


def test_the_last_pieces_are_sold_once(seller: httpx2.Client, buyer: httpx2.Client) -> None:
    item = create_item(seller, stock=3)
    order = {"lines": [{"item_id": item["id"], "quantity": 1}]}

    responses = at_once([partial(buyer.post, "/orders", json=order)] * CLIENTS)

    assert statuses(responses) == {201: 3, 409: CLIENTS - 3}
    assert stock(buyer, item) == 0


def test_crossing_orders_do_not_wait_for_each_other(
    seller: httpx2.Client, buyer: httpx2.Client
) -> None:
    items = [create_item(seller, stock=1000) for _ in range(4)]
    lines = [{"item_id": item["id"], "quantity": 1} for item in items]
    forward = {"lines": lines}
    backward = {"lines": lines[::-1]}

    responses = at_once(
        [
            partial(buyer.post, "/orders", json=order)
            for order in [forward, backward] * (CLIENTS // 2)
        ]
    )

    assert statuses(responses) == {201: CLIENTS}
    assert [stock(buyer, item) for item in items] == [1000 - CLIENTS] * 4


def test_cancelled_and_new_orders_lose_no_piece(
    seller: httpx2.Client, buyer: httpx2.Client
) -> None:
    items = [create_item(seller, stock=1000) for _ in range(4)]
    order = {"lines": [{"item_id": item["id"], "quantity": 1} for item in items]}
    placed = [buyer.post("/orders", json=order).json()["id"] for _ in range(CLIENTS // 2)]

    def cancel(order_id: int) -> httpx2.Response:
        return buyer.patch(f"/orders/{order_id}", json={"status": "cancelled"})

    responses = at_once(
        [partial(cancel, order_id) for order_id in placed]
        + [partial(buyer.post, "/orders", json=order)] * (CLIENTS // 2)
    )

    assert statuses(responses) == {200: CLIENTS // 2, 201: CLIENTS // 2}
    assert [stock(buyer, item) for item in items] == [1000 - CLIENTS // 2] * 4


def test_an_order_is_cancelled_once(seller: httpx2.Client, buyer: httpx2.Client) -> None:
    item = create_item(seller)
    lines = [{"item_id": item["id"], "quantity": 4}]
    order = buyer.post("/orders", json={"lines": lines}).json()
    body = {"status": "cancelled"}

    responses = at_once([lambda: buyer.patch(f"/orders/{order['id']}", json=body)] * CLIENTS)

    assert statuses(responses) == {200: 1, 409: CLIENTS - 1}
    assert stock(buyer, item) == 10


def test_of_many_edits_of_one_version_one_is_written(seller: httpx2.Client) -> None:
    item = create_item(seller)
    path = f"/items/{item['id']}"
    etag = seller.get(path).headers["ETag"]

    responses = at_once(
        [lambda: seller.patch(path, json={"name": uuid4().hex}, headers={"If-Match": etag})]
        * CLIENTS
    )

    assert statuses(responses) == {200: 1, 412: CLIENTS - 1}


def test_without_a_version_a_lost_race_is_a_conflict(seller: httpx2.Client) -> None:
    item = create_item(seller)
    path = f"/items/{item['id']}"

    responses = at_once([lambda: seller.patch(path, json={"name": uuid4().hex})] * CLIENTS)

    written = [response for response in responses if response.status_code == 200]
    assert written
    assert {response.status_code for response in responses} <= {200, 409}
    # Each that was answered as written has counted the version up.
    assert seller.get(path).headers["ETag"] == f'"{len(written) + 1}"'


def test_what_was_answered_can_be_read_at_once(service: Service, seller: httpx2.Client) -> None:
    reader = service.client()

    def create_and_read(_: int) -> httpx2.Response:
        return reader.get(f"/items/{create_item(seller)['id']}")

    with ThreadPoolExecutor(CLIENTS) as threads:
        responses = list(threads.map(create_and_read, range(200)))

    assert statuses(responses) == {200: 200}


def test_many_more_clients_than_connections(service: Service, seller: httpx2.Client) -> None:
    clients = 20 * POOL_SIZE
    limits = httpx2.Limits(max_connections=clients)
    client = service.client(headers=seller.headers, limits=limits)

    with (
        database.slow(service.database_url, "INSERT ON items", seconds=0.02),
        ThreadPoolExecutor(clients) as threads,
    ):
        requests = [threads.submit(create_item, client) for _ in range(clients)]
        while not all(request.done() for request in requests):
            assert httpx2.get(f"{service.url}/health/live", timeout=1).status_code == 200
            assert httpx2.get(f"{service.url}/health/ready", timeout=1).status_code == 200

    assert len({request.result()["id"] for request in requests}) == clients
