"""The service keeps to its OpenAPI document under the requests that schemathesis generates."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
import requests
import schemathesis
from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from app.etags import IfMatch
from app.schemas import BodyId, Cursor, Json, Limit, Quantity, Schema, Text
from app.users.schemas import Password
from tests import database
from tests.document import DOCUMENT, Input, Operation
from tests.samples import JSON, email
from tests.service import Service

# Operations that refuse valid data for a reason that `may_refuse` cannot read from the document.
# None of the template's needs a line; these stay until 2.0.0 for projects that edited the list.
REFUSES_VALID_DATA = [
    "GET /api/v1/items",
    "GET /api/v1/orders",
    "PATCH /api/v1/items/{item_id}",
    "DELETE /api/v1/items/{item_id}",
    "POST /api/v1/items/{item_id}/transfer",
]
CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {
            "positive_data_acceptance": {
                # 412 and 422 only where `may_refuse` allows them.
                "expected-statuses": ["2xx", "401", "403", "404", "409", "412", "422", "429"]
            }
        }
    }
)
EXAMPLES = settings(
    max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


def is_reference(field: Input) -> bool:
    return field.name.endswith(("_id", "_ids")) or any(
        part.get("minimum") == 1 and part.get("exclusiveMaximum") == 2**63 for part in field.parts
    )


def is_password(field: Input) -> bool:
    return any(part.get("format") == "password" for part in field.parts)


def is_free_json(field: Input) -> bool:
    return any(part.get("type") == "object" and "properties" not in part for part in field.parts)


def known_to_the_database(operation: Operation) -> set[str]:
    """Name what only the database can judge: versions, cursors, keys, ids, passwords and JSON."""
    parameters = {parameter.name.lower() for parameter in operation.parameters("header", "query")}
    return parameters & {"if-match", "cursor", "idempotency-key"} | {
        field.name
        for field in operation.fields(JSON)
        if is_reference(field) or is_password(field) or is_free_json(field)
    }


def may_refuse(names: set[str], status: int, problem: dict[str, Any]) -> bool:
    """Tell whether valid data was refused because of one of these inputs.

    The document cannot say how fields must agree, either: such an error names no field.
    """
    if status == HTTPStatus.PRECONDITION_FAILED:
        return "if-match" in names
    locations = [[str(part).lower() for part in error["loc"]] for error in problem["errors"]]
    return all(len(location) == 1 or not names.isdisjoint(location) for location in locations)


def test_inputs_that_the_database_judges_are_found() -> None:
    class Line(Schema):
        item_id: BodyId
        quantity: Quantity

    class Basket(Schema):
        lines: list[Line]
        voucher: BodyId | None
        friends: list[BodyId]
        tag_ids: list[int]
        pin: Password
        extra: Json | None
        note: Text

    router = APIRouter()

    @router.put("/basket")
    def put(basket: Basket, if_match: IfMatch, cursor: Cursor, limit: Limit) -> None: ...

    document = get_openapi(title="", version="", routes=router.routes)
    names = known_to_the_database(Operation("put", "/basket", document))

    references = {"item_id", "voucher", "friends", "tag_ids"}
    assert names == references | {"pin", "extra", "if-match", "cursor"}


@pytest.mark.parametrize(
    ("names", "status", "location", "may"),
    [
        ({"if-match"}, 412, None, True),
        (set(), 412, None, False),
        ({"item_id"}, 422, ["body", "lines", 0, "item_id"], True),
        ({"item_id"}, 422, ["body", "lines", 0, "quantity"], False),
        ({"cursor"}, 422, ["query", "cursor"], True),
        ({"idempotency-key"}, 422, ["header", "Idempotency-Key"], True),
        (set(), 422, ["query", "cursor"], False),
        (set(), 422, ["body"], True),
    ],
)
def test_valid_data_is_refused_only_because_of_such_inputs(
    names: set[str], status: int, location: list[str | int], may: bool
) -> None:
    assert may_refuse(names, status, {"errors": [{"loc": location}]}) is may


class Administrator:
    """Signs requests as an administrator, and registers another one after it was deactivated."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.client = service.client()
        self.may_be_revoked = True

    def headers(self, path: str) -> dict[str, str]:
        """Return the headers of a request, which may revoke the token if it is about oneself."""
        if self.may_be_revoked and self.client.get("/users/me").is_error:
            address = email()
            self.client = self.service.sign_up(address)
            statement = "UPDATE users SET is_admin = true WHERE email = :email"
            database.execute(self.service.database_url, statement, email=address)
        self.may_be_revoked = path == "/api/v1/users/me"
        return {"Authorization": self.client.headers["Authorization"]}


@pytest.fixture(scope="module")
def administrator(service: Service) -> Administrator:
    return Administrator(service)


@pytest.fixture(scope="module")
def connection() -> Iterator[requests.Session]:
    """Keep one connection for all requests."""
    with requests.Session() as connection:
        connection.trust_env = False  # otherwise each request looks for a proxy
        yield connection


api = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)
Case = schemathesis.Case[Any]


def is_valid(case: Case) -> bool:
    return (
        case.meta is not None
        and case.meta.generation.mode.is_positive
        and case.operation.label not in REFUSES_VALID_DATA
    )


@pytest.mark.usefixtures("without_coverage")
@api.parametrize()
@EXAMPLES
def test_operations(
    case: Case,
    service: Service,
    administrator: Administrator,
    connection: requests.Session,
) -> None:
    # `test_security.py` sends the others without a token.
    operation = Operation(case.operation.method.lower(), case.operation.path, DOCUMENT)
    headers = administrator.headers(case.path) if operation.is_protected else {}
    response = case.call_and_validate(base_url=service.url, headers=headers, session=connection)

    if is_valid(case) and response.status_code in {412, 422}:
        names = known_to_the_database(operation)
        assert may_refuse(names, response.status_code, response.json()), response.text
