"""What an error of MongoDB is to a client: a conflict, an outage, or a bug."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from app.mongo.errors import UNAVAILABLE
from tests.mongo import database
from tests.mongo.samples import served
from tests.service import is_unavailable

NOT_PRIMARY = {91, 189, 10107, 11600, 11602, 13435, 13436}
BUGS = {2, 13, 121}


@pytest.fixture(scope="module")
def client(database_url: str) -> Iterator[httpx2.Client]:
    """Let the driver try only once: most errors would take as long as the timeout."""
    url = os.environ["MONGODB_URL"]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MONGODB_URL", f"{url}&retryReads=false&retryWrites=false")
        with served(database_url) as client:
            yield client


@contextmanager
def failing(**data: Any) -> Iterator[None]:
    """Make commands of the service fail; a server needs the parameter enableTestCommands."""
    point = {"configureFailPoint": "failCommand"}
    admin = database.client().admin
    admin.command(point | {"mode": "alwaysOn", "data": data})
    try:
        yield
    finally:
        admin.command(point | {"mode": "off"})


@pytest.mark.parametrize("code", sorted(UNAVAILABLE | NOT_PRIMARY))
def test_what_may_succeed_later_is_503(client: httpx2.Client, code: int) -> None:
    with failing(failCommands=["insert", "find"], errorCode=code):
        assert is_unavailable(client.post("/samples", json={"name": "A"}))
        assert is_unavailable(client.get(f"/samples/{'0' * 24}"))


@pytest.mark.parametrize("code", sorted(BUGS))
def test_what_someone_must_mend_is_500(client: httpx2.Client, code: int) -> None:
    with failing(failCommands=["find"], errorCode=code):
        response = client.get(f"/samples/{'0' * 24}")

    assert response.status_code == 500
    assert response.json()["detail"] == "Something went wrong here."


def test_a_lost_connection_is_503(client: httpx2.Client) -> None:
    with failing(failCommands=["insert"], closeConnection=True):
        assert is_unavailable(client.post("/samples", json={"name": "A"}))

    assert client.post("/samples", json={"name": "A"}).status_code == 201


def test_a_write_that_too_few_servers_confirm_is_503(client: httpx2.Client) -> None:
    error = {"code": 64, "errmsg": "waiting for replication timed out"}
    with failing(failCommands=["insert"], writeConcernError=error):
        assert is_unavailable(client.post("/samples", json={"name": "A"}))


def test_what_is_unique_is_taken_once(client: httpx2.Client) -> None:
    first, second = (client.post("/samples", json={"name": name}).json() for name in "AB")

    created = client.post("/samples", json={"name": first["name"]})
    renamed = client.patch(f"/samples/{second['id']}", json={"name": first["name"]})

    for response in (created, renamed):
        assert response.status_code == 409
        assert response.json()["detail"] == "This exists already."


def test_documents_that_an_index_refuses_are_500(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the index, one of them would be answered as if it were alone."""
    with database.created() as url:
        monkeypatch.setenv("MONGODB_URL", url)
        with database.connected(url) as mongo:
            mongo["samples"].insert_many([{"name": "A"}, {"name": "A"}])
        with served(database_url) as client:
            assert client.get(f"/samples/{'0' * 24}").status_code == 500
