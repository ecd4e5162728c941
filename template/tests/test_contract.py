"""The service keeps to its OpenAPI document, whatever schemathesis can think of."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from app.main import create_app
from app.settings import DATABASE_URL_EXAMPLE, Settings
from tests import database
from tests.service import SECRET_KEY, Service

# What no document can say: which cursors there are, which users are active, and which versions.
REFUSES_VALID_DATA = [
    "GET /api/v1/items",
    "GET /api/v1/orders",
    "PATCH /api/v1/items/{item_id}",
    "DELETE /api/v1/items/{item_id}",
    "POST /api/v1/items/{item_id}/transfer",
]
CONFIG = SchemathesisConfig.from_dict(
    {
        "operations": [
            {
                "include-name": REFUSES_VALID_DATA,
                "checks": {
                    "positive_data_acceptance": {
                        "expected-statuses": ["2xx", "401", "403", "404", "409", "412", "422"]
                    }
                },
            }
        ]
    }
)
EXAMPLES = settings(
    max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


def openapi() -> dict[str, Any]:
    # The document needs no database, only the name of one.
    settings = Settings(_env_file=None, database_url=DATABASE_URL_EXAMPLE, secret_key=SECRET_KEY)
    return create_app(settings).openapi()


class Administrator:
    """Somebody who may do everything, and who comes back under another name once deactivated."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.client = service.client()
        self.is_in_doubt = True

    def headers(self, path: str) -> dict[str, str]:
        """Sign a request, which may end what all tokens are good for if it is about oneself."""
        if self.is_in_doubt and self.client.get("/users/me").is_error:
            email = f"{uuid4().hex}@example.com"
            self.client = self.service.sign_up(email)
            statement = "UPDATE users SET is_admin = true WHERE email = :email"
            database.execute(self.service.database_url, statement, email=email)
        self.is_in_doubt = path == "/api/v1/users/me"
        return {"Authorization": self.client.headers["Authorization"]}


@pytest.fixture(scope="module")
def administrator(service: Service) -> Administrator:
    return Administrator(service)


@pytest.fixture(scope="module")
def connection() -> Iterator[requests.Session]:
    """One connection for all requests."""
    with requests.Session() as connection:
        connection.trust_env = False  # each request would look for a proxy
        yield connection


api = schemathesis.openapi.from_dict(openapi(), config=CONFIG)
Case = schemathesis.Case[Any]


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@api.parametrize()
@EXAMPLES
def test_operations(
    case: Case,
    service: Service,
    administrator: Administrator,
    connection: requests.Session,
    signed: bool,
) -> None:
    headers = administrator.headers(case.path) if signed else {}
    case.call_and_validate(base_url=service.url, headers=headers, session=connection)
