"""What `app dev` serves and reloads, and the key of its tokens."""

import multiprocessing
import os
import secrets
import signal
from threading import Thread
from typing import Any

from fastapi import FastAPI

from app import development
from app.settings import DevelopmentSettings, load


def secret_key() -> str:
    """Return SECRET_KEY, or a key kept in `.data/`, so that tokens survive a restart."""
    if key := load(DevelopmentSettings).secret_key:
        return key.get_secret_value()
    development.DATA.mkdir(exist_ok=True)
    file = development.DATA / "secret_key"
    if not file.exists():
        new = development.DATA / "secret_key.new"  # renamed when it is complete
        new.write_text(secrets.token_hex(32))
        new.replace(file)
    return file.read_text()


def served() -> FastAPI:
    """Return what `app dev` serves, in a process that ends with its reloader."""
    Thread(target=end_with, args=[multiprocessing.parent_process()], daemon=True).start()
    from app.asgi import app  # noqa: PLC0415 (it reads the settings)

    return app


def end_with(parent: Any) -> None:
    """End this process after its parent, even when that was killed."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
