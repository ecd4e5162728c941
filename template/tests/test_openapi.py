"""The OpenAPI document tells people and client generators what they need."""

import json
import re
import tomllib
from typing import Any

import pytest

from app import health, main, resource_modules
from app.development import ROOT
from app.main import create_app
from app.openapi import refuse_duplicate_operations
from app.settings import Settings


@pytest.fixture
def document(settings: Settings) -> dict[str, Any]:
    return create_app(settings).openapi()


def test_description_and_version_are_those_of_pyproject(document: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert document["info"]["description"] == project["description"]
    assert document["info"]["version"] == project["version"]


def test_operations_are_named_and_described_by_their_functions(document: dict[str, Any]) -> None:
    operation = document["paths"]["/health/live"]["get"]

    assert operation["operationId"] == health.live.__name__
    assert operation["description"] == health.live.__doc__


def test_whole_limits_are_integers(document: dict[str, Any]) -> None:
    assert not re.search(r"\d\.0[,}]|e\+", json.dumps(document["components"]))


def test_duplicate_operation_names_are_refused(settings: Settings) -> None:
    app = create_app(settings)
    for path in ("/books", "/shelves"):

        @app.get(path)
        async def find() -> None: ...

    with pytest.raises(RuntimeError, match=r"GET /books and GET /shelves are both called find\."):
        refuse_duplicate_operations(app)


def test_a_service_with_duplicate_names_does_not_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = resource_modules("routes")
    monkeypatch.setattr(main, "resource_modules", lambda _: routes * 2)

    with pytest.raises(RuntimeError, match="are both called"):
        create_app(settings)
