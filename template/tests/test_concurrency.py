"""Concurrent requests in transactions that commit: a rollback would hide every race."""

import time
from functools import partial

import httpx2

from tests import database
from tests.samples import ADA, LAMP, PASSWORD, credentials, email
from tests.service import (
    POOL_SIZE,
    THREADS,
    Service,
    at_once,
    in_background,
    put_on_sale,
    statuses,
)

CLIENTS = 16


def test_one_of_many_registrations_of_an_email_succeeds(service: Service) -> None:
    user = ADA | {"email": email()}

    responses = at_once([partial(service.client().post, "/users", json=user)] * CLIENTS)

    assert statuses(responses) == {201: 1, 409: CLIENTS - 1}


def test_one_of_many_updates_of_a_version_succeeds(seller: httpx2.Client) -> None:
    path = f"/items/{put_on_sale(seller)}"
    headers = {"If-Match": seller.get(path).headers["ETag"]}
    update = partial(seller.patch, path, json={"name": "New"}, headers=headers)

    assert statuses(at_once([update] * CLIENTS)) == {200: 1, 412: CLIENTS - 1}


def test_one_of_many_items_with_a_sku_is_created(seller: httpx2.Client) -> None:
    create = partial(seller.post, "/items", json=LAMP | {"sku": "A"})

    assert statuses(at_once([create] * CLIENTS)) == {201: 1, 409: CLIENTS - 1}


def test_imports_that_cross_store_each_sku_once(service: Service, seller: httpx2.Client) -> None:
    rows = [LAMP | {"sku": str(number)} for number in range(10)]
    orders = [rows, rows[::-1]] * 3
    imports = [partial(seller.post, "/items/import", json={"items": order}) for order in orders]

    # They would deadlock if each inserted its rows as they came.
    with database.slow(service.database_url, "INSERT ON items", seconds=0.01):
        responses = at_once(imports)

    assert statuses(responses) == {200: len(imports)}
    created = [row["id"] for response in responses for row in response.json()["created"]]
    assert len(set(created)) == len(created) == len(rows)


def test_a_lost_race_without_if_match_is_409(seller: httpx2.Client) -> None:
    path = f"/items/{put_on_sale(seller)}"
    updates = [partial(seller.patch, path, json={"stock": 20 + n}) for n in range(CLIENTS)]

    found = statuses(at_once(updates))

    assert found[200] >= 1
    assert found.keys() <= {200, 409}
    # Every update that succeeded incremented the version.
    assert seller.get(path).headers["ETag"] == f'"{found[200] + 1}"'


def test_one_token_changes_the_password_once(service: Service) -> None:
    address = email()
    user = service.sign_up(address)
    passwords = [f"another password {number}" for number in range(4)]

    def change(password: str) -> httpx2.Response:
        body = {"password": password, "current_password": PASSWORD}
        return user.patch("/users/me", json=body)

    # All requests read the user before the first one writes.
    with database.slow(service.database_url, "UPDATE ON users", seconds=0.5):
        responses = at_once([partial(change, password) for password in passwords])

    assert statuses(responses)[200] == 1
    assert statuses(responses).keys() <= {200, 401, 409}
    # Only the password whose change succeeded logs in.
    for password, response in zip(passwords, responses, strict=True):
        form = credentials(address, password)
        answer = service.client().post("/auth/token", data=form)
        assert answer.is_success is response.is_success


def test_created_items_can_be_read_at_once(service: Service, seller: httpx2.Client) -> None:
    reader = service.sign_up()

    def create_and_read() -> httpx2.Response:
        return reader.get(f"/items/{put_on_sale(seller)}")

    for _ in range(12):
        assert statuses(at_once([create_and_read] * CLIENTS)) == {200: CLIENTS}


def test_health_checks_do_not_wait_for_clients(service: Service, seller: httpx2.Client) -> None:
    clients = 20 * POOL_SIZE
    limits = httpx2.Limits(max_connections=clients)
    client = service.client(headers=seller.headers, limits=limits)

    with (
        database.slow(service.database_url, "INSERT ON items", seconds=0.02),
        in_background([partial(client.post, "/items", json=LAMP)] * clients) as requests,
    ):
        answered_meanwhile = 0
        while not all(request.done() for request in requests):
            for path in ("/health/live", "/health/ready"):
                assert service.get(path).status_code == 200
                # In the queue of the clients, the checks would be the last to be answered.
                answered_meanwhile += not all(request.done() for request in requests)
            time.sleep(0.05)

    assert answered_meanwhile
    responses = [request.result() for request in requests]
    assert statuses(responses) == {201: clients}
    assert len({response.json()["id"] for response in responses}) == clients


def test_readers_do_not_wait_for_writers_that_wait_for_a_lock(
    service: Service, seller: httpx2.Client
) -> None:
    path = f"/items/{put_on_sale(seller)}"
    reader, update = service.sign_up(), partial(seller.patch, path, json={"stock": 7})

    with database.transaction(service.database_url, "UPDATE items SET stock = 1"):
        writers = [THREADS.submit(update) for _ in range(2 * POOL_SIZE)]
        # The writers arrive while the first of these are answered.
        responses = [reader.get(path) for _ in range(50)]
        assert not any(writer.done() for writer in writers)

    assert statuses(responses) == {200: 50}
    assert {writer.result().status_code for writer in writers} <= {200, 409, 503}
