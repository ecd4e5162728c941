from http import HTTPMethod

from starlette.types import ASGIApp, Receive, Scope, Send

from app.limits import BodyLimit

PATH = "/api/v1/uploads"


class BodyLimits:
    """Allows uploads a larger body than all other requests."""

    def __init__(self, app: ASGIApp, max_bytes: int, max_upload_bytes: int) -> None:
        self.limit = BodyLimit(app, max_bytes)
        self.upload_limit = BodyLimit(app, max_upload_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_upload = scope["type"] == "http" and (scope["method"], scope["path"]) == (
            HTTPMethod.POST,
            PATH,
        )
        limit = self.upload_limit if is_upload else self.limit
        await limit(scope, receive, send)
