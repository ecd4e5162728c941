"""What the commands do for stores beside the database, which `app new --store` brings."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from app import resource_modules
from app.settings import load


def require_settings() -> None:
    """Exit with one line per setting of theirs that is missing or wrong."""
    for module in resource_modules("store"):
        load(module.Settings)


@contextmanager
def in_development() -> Iterator[dict[str, str]]:
    """Run what they need until the block ends, and yield the environment that reaches it."""
    settings: dict[str, str] = {}
    with ExitStack() as stack:
        for module in resource_modules("store"):
            settings |= stack.enter_context(module.in_development())
        yield settings
