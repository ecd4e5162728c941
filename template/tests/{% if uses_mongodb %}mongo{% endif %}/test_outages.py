"""While MongoDB hangs, is killed or starts again, no answer is wrong, and all recovers."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import httpx2
import pytest

from app.mongo.development import Server, server
from tests.mongo import database
from tests.mongo.samples import served, sign_up
from tests.resources import Resources
from tests.service import WITH_COVERAGE, in_background, is_unavailable, running, under_load

numbers = count(1)


@contextmanager
def frozen(mongo: Server) -> Iterator[None]:
    """Let the server keep its connections, and answer nothing."""
    os.kill(mongo.process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(mongo.process_id, signal.SIGCONT)


def create(client: httpx2.Client) -> httpx2.Response:
    return client.post("/samples", json={"name": f"Sample {next(numbers)}"})


def test_while_mongodb_hangs_the_other_routes_answer(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_TIMEOUT_MS", "60000")
    with server(":memory:") as mongo:
        monkeypatch.setenv("MONGODB_URL", database.watched(mongo.url))
        with served(url) as client:
            assert create(client).status_code == 201
            with frozen(mongo), in_background([partial(create, client)] * 20) as waiting:
                for _ in range(10):
                    sign_up(client)
                health = client.get(client.base_url.join("/health/ready"))
                assert health.status_code == 200
                are_done = [each.done() for each in waiting]
                os.kill(mongo.process_id, signal.SIGCONT)

    assert not any(are_done)
    assert [each.result().status_code for each in waiting] == [201] * 20


def test_a_mongodb_that_hangs_for_too_long_is_503(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_TIMEOUT_MS", "2000")
    with server(":memory:") as mongo:
        monkeypatch.setenv("MONGODB_URL", database.watched(mongo.url))
        with served(url) as client:
            assert create(client).status_code == 201
            with frozen(mongo), in_background([partial(create, client)] * 20) as waiting:
                pass
            assert all(is_unavailable(each.result()) for each in waiting)
            # Until the driver has seen that the server is back, it is still lost.
            while is_unavailable(response := create(client)):
                time.sleep(0.1)
            assert response.status_code == 201


def test_the_service_starts_before_mongodb(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_TIMEOUT_MS", "2000")
    with server(":memory:") as mongo:
        port = mongo.url.rpartition(":")[2].strip("/")
        monkeypatch.setenv("MONGODB_URL", database.watched(mongo.url))
    with served(url) as client:
        assert is_unavailable(create(client))
        with server(":memory:", int(port)):
            while is_unavailable(response := create(client)):
                time.sleep(0.1)
            assert response.status_code == 201


def test_the_service_stops_while_mongodb_is_down(url: str, tmp_path: Path) -> None:
    with ExitStack() as mongo:
        mongodb_url = database.watched(mongo.enter_context(server(":memory:")).url)
        # The driver would wait this long for a server to which it can say that it leaves.
        patient = f"{mongodb_url}&serverSelectionTimeoutMS=600000"
        settings = {"DATABASE_URL": url, "MONGODB_URL": patient, **WITH_COVERAGE}
        with running("serve", folder=tmp_path, **settings) as service:
            Resources(service)  # which has sessions in MongoDB afterwards
            mongo.close()
            service.stop()


def test_what_was_answered_as_stored_outlives_a_kill(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MONGODB_TIMEOUT_MS", "2000")
    with server(tmp_path, is_durable=True) as mongo:
        monkeypatch.setenv("MONGODB_URL", database.watched(mongo.url))
        port = int(mongo.url.rpartition(":")[2].strip("/"))
        with served(url) as client, ExitStack() as again:
            with under_load(partial(create, client)) as responses:
                wait_for_another(201, responses)
                os.kill(mongo.process_id, signal.SIGKILL)
                wait_for_another(503, responses)
                again.enter_context(server(tmp_path, port, is_durable=True))
                wait_for_another(201, responses)
            with database.connected(f"{mongo.url}app") as stored:
                ids = {str(each["_id"]) for each in stored["samples"].find()}

    created = {each.json()["id"] for each in responses if each.status_code == 201}
    assert created <= ids
    assert {each.status_code for each in responses} == {201, 503}


def wait_for_another(status: int, responses: Sequence[httpx2.Response]) -> None:
    begin = len(responses)
    while status not in {each.status_code for each in responses[begin:]}:
        time.sleep(0.01)
