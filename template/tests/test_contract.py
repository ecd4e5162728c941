"""The service keeps to its OpenAPI document, whatever schemathesis can think of."""

from typing import Any
from uuid import uuid4

import pytest
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

    def headers(self) -> dict[str, str]:
        if self.client.get("/users/me").is_error:
            email = f"{uuid4().hex}@example.com"
            self.client = self.service.sign_up(email)
            statement = "UPDATE users SET is_admin = true WHERE email = :email"
            database.execute(self.service.database_url, statement, email=email)
        return {"Authorization": self.client.headers["Authorization"]}


@pytest.fixture(scope="module")
def administrator(service: Service) -> Administrator:
    return Administrator(service)


api = schemathesis.openapi.from_dict(openapi(), config=CONFIG)
Case = schemathesis.Case[Any]


@api.parametrize()
@EXAMPLES
def test_operations(case: Case, service: Service, administrator: Administrator) -> None:
    case.call_and_validate(base_url=service.url, headers=administrator.headers())


@api.parametrize()
@EXAMPLES
def test_operations_without_a_token(case: Case, service: Service) -> None:
    case.call_and_validate(base_url=service.url)
