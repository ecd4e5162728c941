"""What both limits share: the validation of requests and the rendering of answers, by hand."""

import os
from base64 import b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import jwt
import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

SECRET_KEY = os.environ["SECRET_KEY"]
POOL_SIZE = int(os.environ.get("POOL_SIZE", "10"))
API = "/api/v1"

Id = Annotated[int, Field(ge=1, lt=2**63)]
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
Sku = Annotated[Text, Field(min_length=1, max_length=64)]
Description = Annotated[Text, Field(max_length=1000)]
Price = Annotated[Decimal, Field(ge=0, max_digits=10, decimal_places=2)]
Stock = Annotated[int, Field(ge=0, lt=2**31)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewItem(Body):
    name: Name
    sku: Sku | None = None
    description: Description | None = None
    price: Price
    stock: Stock = 0


OMITTED: Any = None


class ItemChanges(Body):
    # A default is not validated: a field that is left out is None, one that is null is refused.
    name: Name = OMITTED
    sku: Sku | None = None
    description: Description | None = None
    price: Price = OMITTED
    stock: Stock = OMITTED


class NewLine(Body):
    item_id: Id
    quantity: Annotated[int, Field(ge=1, le=1000)]


class NewOrder(Body):
    lines: Annotated[list[NewLine], Field(min_length=1, max_length=100)]


def now() -> datetime:
    return datetime.now(UTC)


def token(request: Request) -> tuple[int, int]:
    """The id of the user who asks, and the version of the token."""
    _, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        claims = jwt.decode(token, SECRET_KEY, algorithms=["HS256"], issuer="my-service")
        return int(claims["sub"]), claims["version"]
    except (jwt.InvalidTokenError, KeyError):
        raise HTTPException(401) from None


def item_id(request: Request) -> int:
    number = int(request.path_params["item_id"])
    if not 1 <= number < 2**63:
        raise HTTPException(422)
    return number


def page(request: Request) -> tuple[int, datetime, int]:
    """The length of the page, and the moment and the id of the last item before it."""
    limit = int(request.query_params.get("limit", "20"))
    cursor = request.query_params.get("cursor")
    if not 1 <= limit <= 100:
        raise HTTPException(422)
    if cursor is None:
        return limit, datetime.max.replace(tzinfo=UTC), 2**63 - 1
    order, created_at, last_id = orjson.loads(b64decode(cursor + "==", b"-_"))
    if order != "-created_at":
        raise HTTPException(422)
    return limit, datetime.fromisoformat(created_at), last_id


def cursor(created_at: datetime, last_id: int) -> str:
    packed = orjson.dumps(("-created_at", created_at, last_id), option=orjson.OPT_UTC_Z)
    return urlsafe_b64encode(packed).decode().rstrip("=")


def answer(content: Any, status: int = 200, **headers: str) -> Response:
    body = orjson.dumps(content, default=str, option=orjson.OPT_UTC_Z)
    return Response(body, status, headers, media_type="application/json")
