"""The commands: what is missing is said in one line, and development needs nothing."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app import development as app_development
from app.cli import app
from app.mongo import development
from app.mongo.settings import Settings
from tests.mongo.database import connected
from tests.service import SECRET_KEY


@pytest.fixture(autouse=True)
def _without_dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def serve(**settings: str) -> Result:
    return CliRunner().invoke(app, ["serve"], env={"SECRET_KEY": SECRET_KEY, **settings})


def test_serve_says_that_the_url_is_missing(url: str) -> None:
    result = serve(DATABASE_URL=url, MONGODB_URL="")

    assert result.exit_code == 1
    [line] = result.output.splitlines()
    assert line.startswith("MONGODB_URL is missing: such as mongodb://")


@pytest.mark.parametrize(
    "nonsense",
    ["localhost", "postgresql://localhost/app", "mongodb://", "mongodb://a:b:c@d"],
)
def test_serve_refuses_what_is_no_url(url: str, nonsense: str) -> None:
    result = serve(DATABASE_URL=url, MONGODB_URL=nonsense)

    assert result.exit_code == 1
    [line] = result.output.splitlines()
    assert line.startswith("MONGODB_URL: must be a URL such as mongodb://")


@pytest.mark.parametrize(
    "accepted",
    [
        "mongodb://user:p%40ss@one:27017,two:27018/app?replicaSet=rs0&authSource=admin",
        "mongodb+srv://user:password@cluster.example.net/app",
    ],
)
def test_what_a_server_may_be_called_is_accepted(accepted: str) -> None:
    settings = Settings(mongodb_url=accepted)

    assert settings.mongodb_url == accepted
    assert "mongodb" not in repr(settings).replace("mongodb_timeout_ms", "")


def test_development_brings_a_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(app_development, "DATA", tmp_path / ".data")
    monkeypatch.delenv("MONGODB_URL")

    with development.in_development() as settings, connected(settings["MONGODB_URL"]) as stored:
        assert stored.name == "app"
        assert stored.command("ping")["ok"] == 1


def test_development_uses_the_server_that_there_is() -> None:
    with development.in_development() as settings:
        assert settings == {}


def test_without_uv_development_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", "")

    with pytest.raises(SystemExit, match="Set it; or install uv"), development.server(":memory:"):
        pass


def test_a_server_that_does_not_start_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(development, "PROGRAM", "raise SystemExit(1)")

    with pytest.raises(SystemExit, match="Set MONGODB_URL"), development.server(":memory:"):
        pass
