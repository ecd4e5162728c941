"""The plain application, sync: what the tutorials of FastAPI and SQLAlchemy lead to.

A session by `yield`, a repository class by `Depends()`, entities, `selectinload`, `refresh`, and
the pool as it is by default.
"""

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
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
from sqlalchemy import create_engine, orm, select, tuple_
from sqlalchemy.orm import selectinload, sessionmaker

url = os.environ["DATABASE_URL"]
url = url.replace("postgresql:", "postgresql+psycopg:")
engine = create_engine(url)
sessions = sessionmaker(engine, expire_on_commit=False)

app = FastAPI()
bearer = OAuth2PasswordBearer(tokenUrl="token")


def get_session() -> Iterator[orm.Session]:
    with sessions() as session:
        yield session
        session.commit()


Session = Annotated[orm.Session, Depends(get_session)]


class UserRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def get(self, user_id: int) -> User | None:
        return self.session.get(User, user_id)


class ItemRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def get(self, item_id: int) -> Item | None:
        statement = (
            select(Item)
            .where(Item.deleted_at.is_(None))
            .where(Item.id == item_id)
            .options(selectinload(Item.owner))
        )
        return (self.session.execute(statement)).scalar_one_or_none()

    def page(self, cursor: str | None, limit: int) -> tuple[list[Item], str | None]:
        statement = select(Item).where(Item.deleted_at.is_(None)).options(selectinload(Item.owner))
        if cursor:
            _, created_at, item_id = json.loads(urlsafe_b64decode(cursor + "=="))
            last = tuple_(datetime.fromisoformat(created_at), item_id)
            statement = statement.where(tuple_(Item.created_at, Item.id) < last)
        statement = statement.order_by(Item.created_at.desc(), Item.id.desc()).limit(limit + 1)
        items = list((self.session.execute(statement)).scalars().all())
        if len(items) <= limit:
            return items, None
        last = items[limit - 1]
        packed = json.dumps(["-created_at", last.created_at.isoformat(), last.id])
        return items[:limit], urlsafe_b64encode(packed.encode()).decode()

    def create(self, data: ItemCreate, owner_id: int) -> Item:
        item = Item(owner_id=owner_id, **data.model_dump())
        self.session.add(item)
        self.session.flush()
        self.session.refresh(item)
        return item

    def update(self, item: Item, changes: dict[str, Any]) -> Item:
        for name, value in changes.items():
            setattr(item, name, value)
        self.session.flush()
        self.session.refresh(item)
        return item


class OrderRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def create(self, data: OrderCreate, buyer_id: int) -> Order:
        order = Order(buyer_id=buyer_id, lines=[])
        for line in data.lines:
            statement = (
                select(Item)
                .where(Item.deleted_at.is_(None))
                .where(Item.id == line.item_id)
                .with_for_update()
            )
            item = (self.session.execute(statement)).scalar_one_or_none()
            if item is None or item.stock < line.quantity:
                raise HTTPException(409)
            item.stock -= line.quantity
            order.lines.append(
                OrderLine(item_id=item.id, quantity=line.quantity, unit_price=item.price)
            )
        self.session.add(order)
        self.session.flush()
        self.session.refresh(order, ["lines"])
        return order


def get_current_user(
    token: Annotated[str, Depends(bearer)],
    users: Annotated[UserRepository, Depends()],
) -> User:
    try:
        claims = jwt.decode(token, os.environ["SECRET_KEY"], algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None
    user = users.get(int(claims["sub"]))
    if user is None or not user.is_active or user.token_version != claims["version"]:
        raise HTTPException(401)
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]
Items = Annotated[ItemRepository, Depends()]


@app.get("/health/ready")
def ready() -> dict[str, str]:
    return {"status": "ok"}


@app.get(f"{API}/items/{{item_id}}", response_model=ItemDetail)
def read_item(item_id: int, items: Items) -> Item:
    item = items.get(item_id)
    if item is None:
        raise HTTPException(404)
    return item


@app.get(f"{API}/items", response_model=ItemPage)
def list_items(items: Items, cursor: str | None = None, limit: int = 20) -> dict[str, Any]:
    found, next_cursor = items.page(cursor, limit)
    return {"items": found, "next_cursor": next_cursor}


@app.post(f"{API}/items", status_code=201, response_model=ItemRead)
def create_item(data: ItemCreate, user: CurrentUser, items: Items) -> Item:
    return items.create(data, user.id)


@app.patch(f"{API}/items/{{item_id}}", response_model=ItemRead)
def update_item(item_id: int, data: ItemUpdate, user: CurrentUser, items: Items) -> Item:
    item = items.get(item_id)
    if item is None:
        raise HTTPException(404)
    if item.owner_id != user.id:
        raise HTTPException(403)
    return items.update(item, data.model_dump(exclude_unset=True))


@app.post(f"{API}/orders", status_code=201, response_model=OrderRead)
def place_order(
    data: OrderCreate,
    user: CurrentUser,
    orders: Annotated[OrderRepository, Depends()],
) -> Order:
    return orders.create(data, user.id)
