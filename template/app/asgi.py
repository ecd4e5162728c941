"""The application object that servers load: `app.asgi:app`."""

import gc

from app.main import create_app
from app.settings import Settings


def freeze_imports() -> None:
    """Take everything imported so far out of the collector's sight.

    It lives as long as the process, and a full collection of it would stall all requests. Young
    objects are collected less often, because almost none of them survive a request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)


app = create_app(Settings())
freeze_imports()
