"""Rows of each resource that the OpenAPI document can create, in a running service."""

from itertools import count
from typing import Any

import httpx2

from tests import database
from tests.document import OPERATIONS, Operation
from tests.rows import ids_for
from tests.samples import email
from tests.service import Service

BY_PATH = {(operation.method, operation.path): operation for operation in OPERATIONS}
# Operations that create a row.
CREATORS = [operation for operation in OPERATIONS if operation.creates]
# Those of rows that have versions, and what changes such a row if it still has a version.
VERSIONED = {
    creates: update
    for creates in CREATORS
    for update in OPERATIONS
    if update.method == "PATCH"
    and update.path.rpartition("/")[0] == creates.path
    and any(parameter.name == "If-Match" for parameter in update.parameters("header"))
}

numbers = count(1)


class Resources:
    """An administrator, who has a row of each resource."""

    def __init__(self, service: Service) -> None:
        self.service = service
        address = email()
        self.client = service.sign_up(address)
        statement = "UPDATE users SET is_admin = true WHERE email = :email"
        database.execute(service.database_url, statement, email=address)
        user_id = self.client.get("/users/me").json()["id"]
        self.rows: dict[str, Any] = {"users": user_id}
        # By the names that the parameters of paths have.
        self.ids: dict[str, Any] = {"user_id": user_id}
        for operation in CREATORS * 3:  # from the second round on, rows that refer to others
            name = operation.creates or ""
            if name not in self.ids and (response := self.create(operation)).is_success:
                self.ids[name] = self.rows[operation.table] = response.json()["id"]

    def body(self, operation: Operation) -> Any:
        """Return a valid body; of rows with versions, other than those before."""
        has_version = operation in VERSIONED or operation in VERSIONED.values()
        # The first example has the least quantity: what is ordered must be in stock.
        nth = next(numbers) if has_version else 0
        return operation.example(ids_for(operation.table, self.rows), nth)

    def create(self, operation: Operation) -> httpx2.Response:
        return self.send(operation, json=self.body(operation))

    def send(self, operation: Operation, **options: Any) -> httpx2.Response:
        """Send a request about the row of the resource."""
        url = self.service.url + operation.path.format_map(self.ids)
        return self.client.request(operation.method, url, **options)
