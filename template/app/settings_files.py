"""Settings in files: SECRET_KEY_FILE names the file that has SECRET_KEY.

As the images of Docker do it, for each setting: Docker and Kubernetes mount secrets as files, which
neither `docker inspect` nor a crash report shows.
"""

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, cast

from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
)


class FileSettingsSource(PydanticBaseSettingsSource):
    """Reads the files that variables such as SECRET_KEY_FILE name.

    Raises SettingsError for a file that cannot be read, and where a variable has the value, too.
    """

    def __init__(
        self, settings_cls: type[BaseSettings], variables: Mapping[str, str | None]
    ) -> None:
        super().__init__(settings_cls)
        self.variables = variables

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields.items()
        found = {name: self.get_field_value(field, name)[0] for name, field in fields}
        return {name: value for name, value in found.items() if value is not None}

    def get_field_value(self, _field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{field_name}_file"
        path = self.variables.get(variable)
        if path is None:
            return None, field_name, False
        if self.variables.get(field_name) is not None:
            raise SettingsError(
                f"{field_name.upper()} and {variable.upper()} are both set: keep one of them."
            )
        try:
            return read(path), field_name, False
        except ValueError as error:
            raise SettingsError(f"{variable.upper()}: {path} {error}") from None


def read(path: str) -> str:
    """Read a file without the line ends at its end. Raises ValueError with what is wrong."""
    try:
        text = Path(path).read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}.") from None
    except ValueError:  # an error about the encoding would quote the file
        raise ValueError("is not a file of text in UTF-8.") from None
    if not text:
        raise ValueError("is empty.")
    return text


class SettingsWithFiles(BaseSettings):
    """Settings of the environment, of `.env`, and of the files that either of them names."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the files that a source names follow it: the environment still overrides `.env`."""
        sources = [init_settings]
        for source in (env_settings, dotenv_settings):
            variables = cast("EnvSettingsSource", source).env_vars
            sources += [source, FileSettingsSource(settings_cls, variables)]
        return (*sources, file_secret_settings)


def override(environment: MutableMapping[str, str], **settings: str) -> None:
    """Set variables, for another process, and forget those that name files in their place."""
    forgotten = {f"{name}_FILE" for name in settings}
    for name in [name for name in environment if name.upper() in forgotten]:
        del environment[name]
    environment.update(settings)
