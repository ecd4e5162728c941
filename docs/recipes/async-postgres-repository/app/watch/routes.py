from typing import Annotated

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, Field, ValidationError
from starlette.websockets import WebSocketDisconnect

from app.database import Database
from app.errors import NotFoundError, UnauthorizedError
from app.items.repository import ItemRepository
from app.settings import Settings
from app.tokens import LOGIN_REQUIRED, read_access_token
from app.users.repository import UserRepository

router = APIRouter(prefix="/watch")

POLICY_VIOLATION = 1008


class Question(BaseModel):
    """A message: the token in each, because it may be revoked meanwhile."""

    token: Annotated[str, Field(max_length=1000)]
    item_id: Annotated[int, Field(strict=True, ge=1, lt=2**63)]


@router.websocket("")
async def watch_items(websocket: WebSocket) -> None:
    """Answer each question with the stock of an item, until somebody hangs up."""
    await websocket.accept()
    try:
        async for text in websocket.iter_text():
            await websocket.send_json({"stock": await stock(websocket, text)})
    except (ValidationError, UnauthorizedError, NotFoundError) as error:
        reason = error.detail if not isinstance(error, ValidationError) else "Ask for an item."
        await websocket.close(POLICY_VIOLATION, reason)
    except WebSocketDisconnect:
        pass


async def stock(websocket: WebSocket, text: str) -> int:
    """Read what is asked for, in a transaction that ends before the answer is sent."""
    settings: Settings = websocket.app.state.settings
    database: Database = websocket.app.state.database
    question = Question.model_validate_json(text)
    user_id, version = read_access_token(question.token, settings)
    async with database.transaction(reads=True) as session:
        user = await UserRepository(session).find(user_id)
        if user is None or not user.is_active or user.token_version != version:
            raise UnauthorizedError(LOGIN_REQUIRED)
        item = await ItemRepository(session).get(question.item_id)
    return item.stock
