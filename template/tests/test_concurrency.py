"""Many requests at once, in real transactions: one that is rolled back would show no race."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import uuid4

import httpx2
import pytest

from tests import database
from tests.service import PASSWORD, POOL_SIZE, Service, at_once, statuses

CLIENTS = 16


def email() -> str:
    return f"{uuid4().hex}@example.com"


@pytest.fixture
def seller(service: Service) -> httpx2.Client:
    return service.sign_up(email())


def create_item(seller: httpx2.Client, stock: int = 10) -> dict[str, int]:
    body = {"name": "Lamp", "price": "1.00", "stock": stock}
    item: dict[str, int] = seller.post("/items", json=body).raise_for_status().json()
    return item


def test_one_email_is_registered_once(service: Service) -> None:
    user = {"email": email(), "name": "Ada", "password": PASSWORD}
    client = service.client()

    responses = at_once([partial(client.post, "/users", json=user)] * CLIENTS)

    assert statuses(responses) == {201: 1, 409: CLIENTS - 1}


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
            assert service.get("/health/live", timeout=1).status_code == 200
            assert service.get("/health/ready", timeout=1).status_code == 200
            time.sleep(0.05)

    assert len({request.result()["id"] for request in requests}) == clients
