"""The commands look after each store that is there."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from pydantic import Field
from pydantic_settings import BaseSettings

from app import stores


class Settings(BaseSettings):
    zoo_url: str = Field(description="such as zoo://localhost")


@contextmanager
def in_development() -> Iterator[dict[str, str]]:
    yield {"ZOO_URL": "zoo://localhost"}


@pytest.fixture(autouse=True)
def _with_a_zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = SimpleNamespace(Settings=Settings, in_development=in_development)
    monkeypatch.setattr(stores, "resource_modules", lambda _name: [zoo])


def test_a_setting_that_is_missing_is_named_in_one_line() -> None:
    with pytest.raises(SystemExit, match="ZOO_URL is missing: such as zoo://localhost"):
        stores.require_settings()


def test_what_runs_in_development_is_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with stores.in_development() as settings:
        assert settings == {"ZOO_URL": "zoo://localhost"}
    monkeypatch.setenv("ZOO_URL", settings["ZOO_URL"])
    stores.require_settings()
