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
# Operations that create a row, and those that change it if it still has a version.
VERSIONED = {
    creates: update
    for creates in OPERATIONS
    for update in OPERATIONS
    if creates.creates
    and update.method == "PATCH"
    and update.path.rpartition("/")[0] == creates.path
    and any(parameter.name == "If-Match" for parameter in update.parameters("header"))
}

numbers = count()


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
        for operation in [*VERSIONED] * 3:  # from the second round on, rows that refer to others
            name = operation.creates or ""
            if name not in self.ids and (response := self.create(operation)).is_success:
                self.ids[name] = self.rows[operation.table] = response.json()["id"]

    def body(self, operation: Operation) -> Any:
        """Return a valid body, other than those before."""
        return operation.example(ids_for(operation.table, self.rows), next(numbers))

    def create(self, operation: Operation) -> httpx2.Response:
        return self.send(operation, json=self.body(operation))

    def send(self, operation: Operation, **options: Any) -> httpx2.Response:
        """Send a request about the row of the resource."""
        url = self.service.url + operation.path.format_map(self.ids)
        return self.client.request(operation.method, url, **options)
