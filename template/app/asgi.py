"""The application object that servers load: `app.asgi:app`."""

import gc

from app.main import create_app
from app.settings import Settings

app = create_app(Settings())

# What is here now stays as long as the process: a full collection need not look at it, while all
# requests wait. And a young one would come with every other request, to find next to nothing.
gc.collect()
gc.freeze()
gc.set_threshold(50_000)
