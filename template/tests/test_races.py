"""Races that each resource of the OpenAPI document must win, whatever its store.

They are read from the document, so a new resource is tested without a change here.
"""

from functools import partial
from typing import Any

import pytest

from tests.document import Operation
from tests.resources import BY_PATH, VERSIONED, Resources
from tests.service import Service, at_once, statuses

CLIENTS = 20


@pytest.fixture(scope="module")
def resources(service: Service) -> Resources:
    return Resources(service)


@pytest.mark.parametrize("creates", VERSIONED, ids=str)
def test_each_resource_has_a_row(resources: Resources, creates: Operation) -> None:
    assert creates.creates in resources.ids


@pytest.mark.parametrize("creates", VERSIONED, ids=str)
def test_equal_rows_are_created_all_or_once(resources: Resources, creates: Operation) -> None:
    """All, unless they have a value that is unique."""
    create = partial(resources.send, creates, json=resources.body(creates))

    responses = at_once([create] * CLIENTS)

    found = statuses(responses)
    assert found.keys() <= {201, 409}
    assert found[201] <= 1 if found[409] else found[201] == CLIENTS
    created = [response for response in responses if response.status_code == 201]
    assert len({response.json()["id"] for response in created}) == len(created)
    for response in created:
        path = response.headers["Location"].removeprefix("/api/v1")
        assert resources.client.get(path).json().items() >= response.json().items()


@pytest.mark.parametrize("creates", VERSIONED, ids=str)
def test_one_of_many_changes_of_a_version_succeeds(
    resources: Resources, creates: Operation
) -> None:
    update = VERSIONED[creates]
    read = BY_PATH["GET", update.path]
    before = resources.send(read)
    row, etag = before.json(), before.headers["ETag"]
    bodies = (resources.body(update) for _ in range(CLIENTS))
    # Empty if a resource has only references, because nothing about it can change.
    body: dict[str, Any] = next((each for each in bodies if row != row | each), {})
    change = partial(resources.send, update, json=body, headers={"If-Match": etag})

    found = statuses(at_once([change] * CLIENTS))

    assert found == ({200: 1, 412: CLIENTS - 1} if body else {200: CLIENTS})
    assert (resources.send(read).headers["ETag"] != etag) == bool(body)
