"""The settings of MongoDB; `app serve` reads them with those of the service."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from app.settings import DatabaseSettings
from app.settings_files import SettingsWithFiles

EXAMPLE = "mongodb://user:password@localhost:27017/app?authSource=admin"


def readable(url: str) -> str:
    """Refuse what is no URL of MongoDB. Looks up no name: the server may come later."""
    try:
        # The other scheme stands for names that only a DNS server knows.
        parse_uri(url.replace("mongodb+srv://", "mongodb://", 1), validate=True)
    except (PyMongoError, ValueError):
        raise ValueError(f"must be a URL such as {EXAMPLE}") from None
    return url


URL = Annotated[str, AfterValidator(readable)]


class Settings(SettingsWithFiles):
    """Where MongoDB is, and how long a request waits for it."""

    model_config = DatabaseSettings.model_config

    mongodb_url: Annotated[
        URL,
        # It may contain a password, so neither repr() nor model_dump() shows it.
        Field(description=f"such as {EXAMPLE}", repr=False, exclude=True),
    ]
    mongodb_timeout_ms: Annotated[int, Field(ge=1, le=2**31 - 1)] = 5_000


class DevelopmentSettings(SettingsWithFiles):
    """Settings for which `app dev` has a default of its own."""

    model_config = Settings.model_config

    mongodb_url: Annotated[URL | None, Field(repr=False)] = None
