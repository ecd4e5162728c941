"""The application object that servers load: `app.asgi:app`."""

from app.main import create_app
from app.settings import Settings

app = create_app(Settings())
