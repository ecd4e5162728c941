"""Failures of the database: a request that succeeded is stored, and one that failed is not."""

from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests import database
from tests.samples import ADA, LAMP, credentials, email
from tests.service import (
    POOL_SIZE,
    WITH_COVERAGE,
    Service,
    at_once,
    is_unavailable,
    put_on_sale,
    running,
    statuses,
    stock_of,
)


def test_a_commit_that_fails_is_409(service: Service) -> None:
    client, address = service.client(), email()

    with database.commits_fail(service.database_url, "INSERT ON users"):
        assert client.post("/users", json=ADA | {"email": address}).status_code == 409

    assert client.post("/auth/token", data=credentials(address)).status_code == 401


def test_a_statement_that_takes_too_long_is_503(short_timeouts: Service) -> None:
    seller = short_timeouts.sign_up()

    with database.slow(short_timeouts.database_url, "INSERT ON items", seconds=60):
        assert is_unavailable(seller.post("/items", json=LAMP))

    # The only connection of this server works again.
    assert seller.post("/items", json=LAMP).status_code == 201


def test_waiting_too_long_for_a_lock_is_503(short_timeouts: Service) -> None:
    seller = short_timeouts.sign_up()
    item_id = put_on_sale(seller, stock=1)
    update = partial(seller.patch, f"/items/{item_id}", json={"stock": 7})

    with database.transaction(short_timeouts.database_url, "UPDATE items SET stock = 5"):
        assert is_unavailable(update())
        # Readers do not wait.
        assert stock_of(seller, item_id) == 1
        assert short_timeouts.get("/health/ready").status_code == 200

    assert update().status_code == 200


def test_clients_that_hang_up_hold_no_connection(service: Service, seller: httpx2.Client) -> None:
    with database.slow(service.database_url, "INSERT ON items", seconds=0.2):
        for _ in range(2 * POOL_SIZE):
            with pytest.raises(httpx2.ReadTimeout):
                seller.post("/items", json=LAMP, timeout=httpx2.Timeout(30, read=0.05))

    assert seller.post("/items", json=LAMP).status_code == 201


def test_requests_above_the_limit_of_a_process_are_503(service: Service, folder: Path) -> None:
    options = ("--limit-concurrency", "5")
    settings = {"DATABASE_URL": service.database_url, **WITH_COVERAGE}
    with (
        running("serve", *options, folder=folder, **settings) as limited,
        database.slow(service.database_url, "INSERT ON items", seconds=0.2),
    ):
        seller = limited.sign_up()
        found = statuses(at_once([partial(seller.post, "/items", json=LAMP)] * 20))

    assert found[201] >= 1
    assert found[503] >= 1
    assert found[201] + found[503] == 20
