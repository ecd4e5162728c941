"""The application object that servers load: `app.asgi:app`."""

import gc

from app.main import create_app
from app.settings import Settings

app = create_app(Settings())

# What is here now stays as long as the process. Each full collection would look at all of it, and
# all requests would wait meanwhile.
gc.collect()
gc.freeze()
