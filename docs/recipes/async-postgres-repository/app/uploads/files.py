"""Files, each under the hash of its content: the same content is stored once."""

import hashlib
from typing import Annotated, NamedTuple
from uuid import uuid4

from anyio import CancelScope, Path, open_file
from fastapi import Depends, Request

from app.security import DetachedUser
from app.settings import AppSettings
from app.users.models import User


class Received(NamedTuple):
    owner: User
    sha256: str
    size: int


async def receive(request: Request, user: DetachedUser, settings: AppSettings) -> Received:
    """Write the body to a file as it arrives, and before the request has a session.

    At most one chunk is in memory. When the client hangs up, or sends too much, nothing is left.
    """
    folder = Path(settings.upload_folder)
    await folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{uuid4().hex}.part"
    content = hashlib.sha256()
    size = 0
    try:
        async with await open_file(part, "xb") as file:
            async for chunk in request.stream():
                content.update(chunk)
                size += len(chunk)
                await file.write(chunk)
        # Atomic. If the transaction fails, the file is without a row, and harmless.
        await part.replace(folder / content.hexdigest())
    finally:
        with CancelScope(shield=True):
            await part.unlink(missing_ok=True)
    return Received(user, content.hexdigest(), size)


ReceivedFile = Annotated[Received, Depends(receive)]
