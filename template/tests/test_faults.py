"""When the database fails: what was answered as done is stored, and what was not is not."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from tests import database
from tests.service import LAMP, PASSWORD, POOL_SIZE, Service, is_unavailable, running


@pytest.fixture
def seller(impatient: Service) -> httpx2.Client:
    return impatient.sign_up(f"{uuid4().hex}@example.com")


def test_a_commit_that_fails_is_no_success(service: Service) -> None:
    client = service.client()
    email = f"{uuid4().hex}@example.com"

    with database.commits_fail(service.database_url, "INSERT ON users"):
        user = {"email": email, "name": "Ada", "password": PASSWORD}
        response = client.post("/users", json=user)

    assert response.status_code == 409
    form = {"username": email, "password": PASSWORD}
    assert client.post("/auth/token", data=form).status_code == 401


def test_a_statement_that_takes_too_long(impatient: Service, seller: httpx2.Client) -> None:
    with database.slow(impatient.database_url, "INSERT ON items", seconds=60):
        assert is_unavailable(seller.post("/items", json=LAMP))

    # The one connection that there is was left clean.
    assert seller.post("/items", json=LAMP).status_code == 201


def test_a_lock_that_is_not_released(impatient: Service, seller: httpx2.Client) -> None:
    item = seller.post("/items", json=LAMP).json()
    path = f"/items/{item['id']}"

    with database.transaction(impatient.database_url, "UPDATE items SET stock = 5"):
        assert is_unavailable(seller.patch(path, json={"stock": 7}))
        # Those who read do not wait.
        assert seller.get(path).json()["stock"] == 1
        assert impatient.get("/health/ready").status_code == 200

    assert seller.patch(path, json={"stock": 7}).status_code == 200


def test_a_client_that_hangs_up_keeps_no_connection(service: Service) -> None:
    seller = service.sign_up(f"{uuid4().hex}@example.com")

    with database.slow(service.database_url, "INSERT ON items", seconds=0.2):
        for _ in range(2 * POOL_SIZE):
            with pytest.raises(httpx2.ReadTimeout):
                seller.post("/items", json=LAMP, timeout=0.05)

    assert seller.post("/items", json=LAMP).status_code == 201


def test_more_requests_than_a_process_takes(service: Service, folder: Path) -> None:
    with running(
        "serve", "--limit-concurrency", "5", folder=folder, DATABASE_URL=service.database_url
    ) as limited:
        seller = limited.sign_up(f"{uuid4().hex}@example.com")
        with (
            database.slow(service.database_url, "INSERT ON items", seconds=0.2),
            ThreadPoolExecutor(20) as threads,
        ):
            requests = [threads.submit(seller.post, "/items", json=LAMP) for _ in range(20)]
            statuses = Counter(request.result().status_code for request in requests)

    assert statuses[201] >= 1
    assert statuses[503] >= 1
    assert statuses[201] + statuses[503] == 20
