"""Files may be larger than other bodies; what does not arrive whole leaves nothing."""

import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests import database
from tests.service import Service, running

MEGABYTE = b"x" * 2**20


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def server(folder: Path, uploads: Path) -> Iterator[Service]:
    settings = {"UPLOAD_FOLDER": str(uploads), "MAX_UPLOAD_BYTES": str(8 * 2**20)}
    with (
        database.created() as url,
        running("serve", folder=folder, DATABASE_URL=url, **settings) as service,
    ):
        yield service


def rows(server: Service) -> int:
    [(count,)] = database.execute(server.database_url, "SELECT count(*) FROM uploads")
    return int(count)


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("this has not happened within a minute")


@pytest.fixture(autouse=True)
def nothing_is_left(server: Service, uploads: Path) -> Iterator[None]:
    """Compare with the table: no file is without a row, or the other way round."""
    yield
    known = {
        name for (name,) in database.execute(server.database_url, "SELECT sha256 FROM uploads")
    }
    assert {file.name for file in uploads.iterdir()} == known


def test_a_file_is_stored_once(server: Service, uploads: Path) -> None:
    ada = server.sign_up()
    content = MEGABYTE * 5

    responses = [ada.post("/uploads", content=content) for _ in range(2)]

    sha256 = hashlib.sha256(content).hexdigest()
    assert [response.status_code for response in responses] == [201, 201]
    assert [response.json()["sha256"] for response in responses] == [sha256] * 2
    assert responses[0].json()["size"] == len(content)
    assert (uploads / sha256).read_bytes() == content


def test_too_large_a_file_is_413_and_leaves_nothing(server: Service) -> None:
    before = rows(server)

    # In chunks: their number is unknown until the last one.
    response = server.sign_up().post("/uploads", content=(MEGABYTE for _ in range(9)))

    assert response.status_code == 413
    assert rows(server) == before


def test_other_bodies_are_as_small_as_before(server: Service) -> None:
    ada = server.sign_up()

    assert ada.post("/items", content=MEGABYTE).status_code == 413
    assert ada.put("/uploads", content=MEGABYTE).status_code == 413


def test_a_stranger_stores_no_file(server: Service) -> None:
    before = rows(server)

    assert server.client().post("/uploads", content=b"mine").status_code == 401
    assert rows(server) == before


def test_a_client_that_hangs_up_leaves_nothing(server: Service, uploads: Path) -> None:
    ada = server.sign_up()
    before = rows(server)
    address = httpx2.URL(server.url)
    head = (
        "POST /api/v1/uploads HTTP/1.1\r\nHost: here\r\nContent-Length: 2000000\r\n"
        f"Authorization: {ada.headers['Authorization']}\r\n\r\n"
    )
    with socket.create_connection((address.host, address.port)) as client:
        client.sendall(head.encode() + MEGABYTE)
        wait_until(lambda: any(uploads.glob("*.part")))

    wait_until(lambda: not any(uploads.glob("*.part")))
    assert rows(server) == before
