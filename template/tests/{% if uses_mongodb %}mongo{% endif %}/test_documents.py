"""What is stored is what was answered, in every type."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx2
import pytest

from tests.mongo.samples import served
from tests.service import at_once, statuses

ALL = {
    "name": "Änne \\ $where .*",
    "price": "99999999.99",
    "day": "0001-01-01",
    "at": "2026-11-21T12:00:00.123456Z",
    "state": "final",
    "key": "6f1f2b36-0f4c-4b52-9d3c-4f6a1c2f7f10",
    "extra": {"": [1, -(2**63), 1.5, None, {"a.b": "c"}]},
}


@pytest.fixture(scope="module")
def client(database_url: str) -> Iterator[httpx2.Client]:
    with served(database_url) as client:
        yield client


def test_the_answer_is_what_is_read_afterwards(client: httpx2.Client) -> None:
    created = client.post("/samples", json=ALL)

    sample = created.raise_for_status().json()
    assert sample.items() >= (ALL | {"at": "2026-11-21T12:00:00.123000Z"}).items()
    assert sample["created_at"] == sample["updated_at"]
    assert client.get(f"/samples/{sample['id']}").json() == sample
    changed = client.patch(f"/samples/{sample['id']}", json={"name": "New"}).json()
    assert changed.items() >= {"name": "New", "version": 2}.items()
    assert client.get(f"/samples/{sample['id']}").json() == changed


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999000Z"])
def test_moments_at_the_end_of_time_are_stored(client: httpx2.Client, moment: str) -> None:
    sample = client.post("/samples", json={"name": moment, "at": moment}).json()

    assert sample["at"] == moment
    assert client.get(f"/samples/{sample['id']}").json() == sample


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"a": 2**63}, "integers within 64 bits"),
        ({"a": [{"b\0": 1}]}, "names without NUL"),
        ({"a": [{"$ref": "samples", "$id": 1}]}, "names that do not begin with"),
    ],
)
def test_json_that_mongodb_cannot_hold_is_refused(
    client: httpx2.Client, extra: dict[str, Any], message: str
) -> None:
    response = client.post("/samples", json={"name": "A", "extra": extra})

    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["loc"] == ["body", "extra"]
    assert message in error["msg"]


@pytest.mark.parametrize("unknown", ["0" * 24, "f" * 24])
def test_unknown_ids_are_404(client: httpx2.Client, unknown: str) -> None:
    assert client.get(f"/samples/{unknown}").status_code == 404


@pytest.mark.parametrize("nonsense", ["1", "F" * 24, "0" * 25, "%00" * 24, "{'$gt':''}"])
def test_what_is_no_id_is_422(client: httpx2.Client, nonsense: str) -> None:
    assert client.get(f"/samples/{nonsense}").status_code == 422


def test_a_search_finds_a_part_in_any_case(client: httpx2.Client) -> None:
    for name in ("a.b", "Ä A.B", "axb", "a.b \\"):
        client.post("/samples", json={"name": name}).raise_for_status()

    found: list[str] = []
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        page = client.get("/samples", params={"q": "a.B", **cursor}).raise_for_status().json()
        found += [sample["name"] for sample in page["items"]]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None

    assert found == ["a.b", "a.b \\", "Ä A.B"]
    assert len(client.get("/samples").json()["items"]) == 2


def test_only_administrators_pass_as_such(client: httpx2.Client) -> None:
    path = f"/samples/{client.post('/samples', json={'name': 'A'}).json()['id']}"
    is_admin = client.get("/users/me").json()["is_admin"]

    assert client.delete(path).status_code == (204 if is_admin else 403)
    assert client.get(path).status_code == (404 if is_admin else 200)


def test_of_equal_documents_at_once_one_is_stored(client: httpx2.Client) -> None:
    create = partial(client.post, "/samples", json={"name": "A"})

    assert statuses(at_once([create] * 20)) == {201: 1, 409: 19}


def test_of_changes_to_one_version_each_is_stored_or_refused(client: httpx2.Client) -> None:
    path = f"/samples/{client.post('/samples', json={'name': 'A'}).json()['id']}"

    renames = [partial(client.patch, path, json={"name": f"A {n}"}) for n in range(20)]

    found = statuses(at_once(renames))

    assert found.keys() <= {200, 409}
    assert client.get(path).json()["version"] == 1 + found[200]
