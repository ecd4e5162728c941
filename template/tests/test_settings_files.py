"""SECRET_KEY_FILE and its like name files that have the setting."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.database_url import DATABASE_URL_EXAMPLE
from app.settings import DatabaseSettings, Settings, load
from app.settings_files import override

KEY = "0123456789 abcdefghijklmnopqrstuvwxyz"
OTHER_KEY = KEY[::-1]
SECRET = "hunter2"


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file with a key; the folder has a `.env` with a URL."""
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text(f"DATABASE_URL={DATABASE_URL_EXAMPLE}\n")
    file = tmp_path / "a secret"
    file.write_text(f"{KEY}\n")
    return file


def secret_key() -> str:
    return load(Settings).secret_key.get_secret_value()


@pytest.mark.parametrize("name", ["SECRET_KEY_FILE", "secret_key_file"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_setting_is_read_from_a_file(
    secret: Path, monkeypatch: pytest.MonkeyPatch, name: str, end: str
) -> None:
    secret.write_text(f" {KEY} {end}", newline="")
    monkeypatch.setenv(name, str(secret))

    assert secret_key() == f" {KEY} "


def test_every_setting_may_be_in_a_file(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "database_url": DATABASE_URL_EXAMPLE,
        "secret_key_fallback": f"{OTHER_KEY}\n",
        "log_level": "debug\n",
        "pool_size": "7\n",
    }
    for name, text in texts.items():
        Path(name).write_text(text)
        monkeypatch.setenv(f"{name.upper()}_FILE", name)
    Path(".env").write_text(f"SECRET_KEY_FILE='{secret}'\n")

    settings = load(Settings)

    assert settings.database_url == DatabaseSettings().database_url
    assert settings.secret_key.get_secret_value() == KEY
    assert settings.secret_key_fallback
    assert settings.secret_key_fallback.get_secret_value() == OTHER_KEY
    assert (settings.log_level, settings.pool_size) == ("DEBUG", 7)


@pytest.mark.parametrize(
    ("of_env_file", "variable"),
    [("SECRET_KEY", "SECRET_KEY_FILE"), ("SECRET_KEY_FILE", "SECRET_KEY")],
)
def test_the_environment_overrides_the_env_file(
    secret: Path, monkeypatch: pytest.MonkeyPatch, of_env_file: str, variable: str
) -> None:
    Path("other").write_text(OTHER_KEY)
    with Path(".env").open("a") as env_file:
        env_file.write(f"{of_env_file}={'other' if of_env_file.endswith('FILE') else OTHER_KEY}\n")
    monkeypatch.setenv(variable, str(secret) if variable == "SECRET_KEY_FILE" else KEY)

    assert secret_key() == KEY


def test_nothing_is_no_file(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_FILE", "")
    monkeypatch.setenv("SECRET_KEY", KEY)

    assert secret.exists()
    assert secret_key() == KEY


def test_a_setting_has_one_source(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_FILE", str(secret))
    monkeypatch.setenv("SECRET_KEY", KEY)

    with pytest.raises(SystemExit) as exited:
        load(Settings)

    message = "SECRET_KEY and SECRET_KEY_FILE are both set: keep one of them."
    assert exited.value.code == message


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, "cannot be read: No such file or directory."),
        (lambda file: (file.unlink(), file.mkdir()), "cannot be read: Is a directory."),
        (lambda file: file.write_text(""), "is empty."),
        (lambda file: file.write_text("\n\r\n"), "is empty."),
        (lambda file: file.write_bytes(b"hunter2\xff"), "is not a file of text in UTF-8."),
    ],
    ids=["missing", "a folder", "empty", "line ends", "not UTF-8"],
)
def test_a_file_that_has_no_value_is_refused_in_one_line(
    secret: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(secret)
    monkeypatch.setenv("SECRET_KEY_FILE", str(secret))

    with pytest.raises(SystemExit) as exited:
        load(Settings)

    assert exited.value.code == f"SECRET_KEY_FILE: {secret} {message}"


def test_what_a_file_has_is_checked_and_not_shown(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret.write_text(SECRET)
    monkeypatch.setenv("SECRET_KEY_FILE", str(secret))

    with pytest.raises(SystemExit) as exited:
        load(Settings)

    message = "SECRET_KEY: must have 32 bytes or more; try `openssl rand -hex 32`"
    assert exited.value.code == message


def test_an_override_leaves_one_source() -> None:
    environment = {"SECRET_KEY_FILE": "a", "secret_key_file": "b", "DATABASE_URL_FILE": "c"}

    override(environment, SECRET_KEY=KEY)

    assert environment == {"DATABASE_URL_FILE": "c", "SECRET_KEY": KEY}
