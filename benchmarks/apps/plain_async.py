"""The plain application, async: what the tutorials of FastAPI and SQLAlchemy lead to.

A session by `yield`, a repository class by `Depends()`, entities, `selectinload`, `refresh`, and
the pool as it is by default.
"""

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from plain_models import (
    API,
    Item,
    ItemCreate,
    ItemDetail,
    ItemPage,
    ItemRead,
    ItemUpdate,
    Order,
    OrderCreate,
    OrderLine,
    OrderRead,
    User,
)
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import selectinload

url = os.environ["DATABASE_URL"]
url = url.replace("postgresql:", "postgresql+asyncpg:").replace("sqlite:", "sqlite+aiosqlite:")
engine = create_async_engine(url)
sessions = async_sessionmaker(engine, expire_on_commit=False)

app = FastAPI()
bearer = OAuth2PasswordBearer(tokenUrl="token")


async def get_session() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session
        await session.commit()


Session = Annotated[AsyncSession, Depends(get_session)]


class UserRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    async def get(self, user_id: int) -> User | None:
        return await self.session.get(User, user_id)


class ItemRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    async def get(self, item_id: int) -> Item | None:
        statement = (
            select(Item)
            .where(Item.deleted_at.is_(None))
            .where(Item.id == item_id)
            .options(selectinload(Item.owner))
        )
        return (await self.session.execute(statement)).scalar_one_or_none()

    async def page(self, cursor: str | None, limit: int) -> tuple[list[Item], str | None]:
        statement = select(Item).where(Item.deleted_at.is_(None)).options(selectinload(Item.owner))
        if cursor:
            _, created_at, item_id = json.loads(urlsafe_b64decode(cursor + "=="))
            last = tuple_(datetime.fromisoformat(created_at), item_id)
            statement = statement.where(tuple_(Item.created_at, Item.id) < last)
        statement = statement.order_by(Item.created_at.desc(), Item.id.desc()).limit(limit + 1)
        items = list((await self.session.execute(statement)).scalars().all())
        if len(items) <= limit:
            return items, None
        last = items[limit - 1]
        packed = json.dumps(["-created_at", last.created_at.isoformat(), last.id])
        return items[:limit], urlsafe_b64encode(packed.encode()).decode()

    async def create(self, data: ItemCreate, owner_id: int) -> Item:
        item = Item(owner_id=owner_id, **data.model_dump())
        self.session.add(item)
        await self.session.flush()
        await self.session.refresh(item)
        return item

    async def update(self, item: Item, changes: dict[str, Any]) -> Item:
        for name, value in changes.items():
            setattr(item, name, value)
        await self.session.flush()
        await self.session.refresh(item)
        return item


class OrderRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    async def create(self, data: OrderCreate, buyer_id: int) -> Order:
        order = Order(buyer_id=buyer_id, lines=[])
        for line in data.lines:
            statement = (
                select(Item)
                .where(Item.deleted_at.is_(None))
                .where(Item.id == line.item_id)
                .with_for_update()
            )
            item = (await self.session.execute(statement)).scalar_one_or_none()
            if item is None or item.stock < line.quantity:
                raise HTTPException(409)
            item.stock -= line.quantity
            order.lines.append(
                OrderLine(item_id=item.id, quantity=line.quantity, unit_price=item.price)
            )
        self.session.add(order)
        await self.session.flush()
        await self.session.refresh(order, ["lines"])
        return order


async def get_current_user(
    token: Annotated[str, Depends(bearer)],
    users: Annotated[UserRepository, Depends()],
) -> User:
    try:
        claims = jwt.decode(token, os.environ["SECRET_KEY"], algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None
    user = await users.get(int(claims["sub"]))
    if user is None or not user.is_active or user.token_version != claims["version"]:
        raise HTTPException(401)
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]
Items = Annotated[ItemRepository, Depends()]


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    return {"status": "ok"}


@app.get(f"{API}/items/{{item_id}}", response_model=ItemDetail)
async def read_item(item_id: int, items: Items) -> Item:
    item = await items.get(item_id)
    if item is None:
        raise HTTPException(404)
    return item


@app.get(f"{API}/items", response_model=ItemPage)
async def list_items(items: Items, cursor: str | None = None, limit: int = 20) -> dict[str, Any]:
    found, next_cursor = await items.page(cursor, limit)
    return {"items": found, "next_cursor": next_cursor}


@app.post(f"{API}/items", status_code=201, response_model=ItemRead)
async def create_item(data: ItemCreate, user: CurrentUser, items: Items) -> Item:
    return await items.create(data, user.id)


@app.patch(f"{API}/items/{{item_id}}", response_model=ItemRead)
async def update_item(item_id: int, data: ItemUpdate, user: CurrentUser, items: Items) -> Item:
    item = await items.get(item_id)
    if item is None:
        raise HTTPException(404)
    if item.owner_id != user.id:
        raise HTTPException(403)
    return await items.update(item, data.model_dump(exclude_unset=True))


@app.post(f"{API}/orders", status_code=201, response_model=OrderRead)
async def place_order(
    data: OrderCreate,
    user: CurrentUser,
    orders: Annotated[OrderRepository, Depends()],
) -> Order:
    return await orders.create(data, user.id)
