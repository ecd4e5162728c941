"""The limit on SQLite: Starlette and sqlite3 by hand, with nothing that the answer does not need.

One connection to read and one to write, used in the event loop itself: a statement takes less
than it would take to ask a thread for it.
"""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from limit import (
    API,
    ItemChanges,
    NewItem,
    NewOrder,
    answer,
    cursor,
    item_id,
    now,
    page,
    token,
)
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

COLUMNS = "id, name, sku, description, price, stock, owner_id, created_at, updated_at"
USER = "SELECT is_active, token_version FROM users WHERE id = ?"
ITEM = f"SELECT {COLUMNS}, version FROM items WHERE id = ? AND deleted_at IS NULL"
ITEM_WITH_OWNER = """
    SELECT i.id, i.name, i.sku, i.description, i.price, i.stock, i.owner_id, i.created_at,
           i.updated_at, i.version, u.name AS owner_name
    FROM items AS i JOIN users AS u ON u.id = i.owner_id
    WHERE i.id = ? AND i.deleted_at IS NULL
"""
PAGE = f"""
    SELECT {COLUMNS} FROM items
    WHERE (created_at, id) < (?, ?) AND deleted_at IS NULL
    ORDER BY created_at DESC, id DESC LIMIT ?
"""
CREATE = f"""
    INSERT INTO items
        (name, sku, description, price, stock, owner_id, created_at, updated_at, version)
    VALUES (?, ?, ?, ?, ?, ?, ?7, ?7, 1) RETURNING {COLUMNS}
"""
PATCH = f"""
    UPDATE items SET name = ?, sku = ?, description = ?, price = ?, stock = ?, updated_at = ?,
           version = version + 1
    WHERE id = ? AND version = ? AND deleted_at IS NULL RETURNING {COLUMNS}, version
"""
WANTED = "SELECT id, price, stock FROM items WHERE id IN ({}) AND deleted_at IS NULL"
ORDER = """
    INSERT INTO orders (buyer_id, status, created_at, updated_at)
    VALUES (?, 'pending', ?2, ?2) RETURNING id
"""
LINE = "INSERT INTO order_lines (order_id, item_id, quantity, unit_price) VALUES (?, ?, ?, ?)"
TAKE = """
    UPDATE items SET stock = stock - quantity, version = version + 1, updated_at = ?2
    FROM order_lines WHERE order_id = ?1 AND item_id = id
"""


def user(request: Request, connection: sqlite3.Connection) -> int:
    user_id, version = token(request)
    row = connection.execute(USER, (user_id,)).fetchone()
    if row is None or not row["is_active"] or row["token_version"] != version:
        raise HTTPException(401)
    return user_id


def stored(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")


def money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def readable(row: sqlite3.Row) -> dict[str, Any]:
    item = dict(row)
    item["price"] = money(item["price"])
    for name in ("created_at", "updated_at"):
        item[name] = datetime.fromisoformat(item[name]).replace(tzinfo=UTC)
    return item


@contextmanager
def transaction(request: Request) -> Iterator[sqlite3.Connection]:
    connection: sqlite3.Connection = request.app.state.writer
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


async def get(request: Request) -> Response:
    row = request.app.state.reader.execute(ITEM_WITH_OWNER, (item_id(request),)).fetchone()
    if row is None:
        raise HTTPException(404)
    item = readable(row)
    version = item.pop("version")
    item["owner"] = {"id": item["owner_id"], "name": item.pop("owner_name")}
    return answer(item, ETag=f'"{version}"')


async def list_items(request: Request) -> Response:
    limit, created_at, last_id = page(request)
    values = (stored(created_at), last_id, limit + 1)
    rows = request.app.state.reader.execute(PAGE, values).fetchall()
    items = [readable(row) for row in rows[:limit]]
    more = len(rows) > limit
    last = items[-1] if more else {}
    next_cursor = cursor(last["created_at"], last["id"]) if more else None
    return answer({"items": items, "next_cursor": next_cursor})


async def create(request: Request) -> Response:
    data = NewItem.model_validate_json(await request.body())
    cents = int(data.price.scaleb(2))
    with transaction(request) as connection:
        owner_id = user(request, connection)
        fields = (data.name, data.sku, data.description, cents, data.stock)
        row = connection.execute(CREATE, (*fields, owner_id, stored(now()))).fetchone()
    return answer(readable(row), 201, Location=f"{API}/items/{row['id']}", ETag='"1"')


async def patch(request: Request) -> Response:
    changes = ItemChanges.model_validate_json(await request.body()).model_dump(exclude_unset=True)
    if "price" in changes:
        changes["price"] = int(changes["price"].scaleb(2))
    with transaction(request) as connection:
        user_id = user(request, connection)
        row = connection.execute(ITEM, (item_id(request),)).fetchone()
        if row is None:
            raise HTTPException(404)
        if row["owner_id"] != user_id:
            raise HTTPException(403)
        item = dict(row) | changes
        names = ("name", "sku", "description", "price", "stock")
        values = (*(item[name] for name in names), stored(now()), item["id"], item["version"])
        row = connection.execute(PATCH, values).fetchone()
        if row is None:
            raise HTTPException(409)
    item = readable(row)
    version = item.pop("version")
    return answer(item, ETag=f'"{version}"')


async def order(request: Request) -> Response:
    data = NewOrder.model_validate_json(await request.body())
    wanted: dict[int, int] = {}
    for line in data.lines:
        wanted[line.item_id] = wanted.get(line.item_id, 0) + line.quantity
    at = now()
    lines = []
    rejected = []
    with transaction(request) as connection:
        buyer_id = user(request, connection)
        statement = WANTED.format(", ".join("?" * len(wanted)))
        items = {row["id"]: row for row in connection.execute(statement, list(wanted))}
        for item, quantity in sorted(wanted.items()):
            if item not in items:
                rejected.append({"item_id": item, "reason": "not_found"})
            elif items[item]["stock"] < quantity:
                rejected.append({"item_id": item, "reason": "out_of_stock"})
            else:
                price = money(items[item]["price"])
                lines.append({"item_id": item, "quantity": quantity, "unit_price": price})
        if not lines:
            raise HTTPException(409)
        (order_id,) = connection.execute(ORDER, (buyer_id, stored(at))).fetchone()
        rows = (
            (order_id, line["item_id"], line["quantity"], items[line["item_id"]]["price"])
            for line in lines
        )
        connection.executemany(LINE, rows)
        connection.execute(TAKE, (order_id, stored(at)))
    total = sum((line["quantity"] * line["unit_price"] for line in lines), Decimal(0))
    content = {
        "id": order_id,
        "status": "pending",
        "lines": lines,
        "total": total,
        "created_at": at,
        "updated_at": at,
        "rejected": rejected,
    }
    return answer(content, 201)


async def ready(request: Request) -> Response:
    return answer({"status": "ok"})


async def refuse(_request: Request, _error: Exception) -> Response:
    return Response(status_code=422)


def connect() -> sqlite3.Connection:
    file = os.environ["DATABASE_URL"].removeprefix("sqlite:///")
    connection = sqlite3.connect(file, isolation_level=None)
    connection.row_factory = sqlite3.Row
    for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    app.state.reader = connect()
    app.state.writer = connect()
    yield


app = Starlette(
    routes=[
        Route("/health/ready", ready),
        Route(f"{API}/items/{{item_id:int}}", get),
        Route(f"{API}/items/{{item_id:int}}", patch, methods=["PATCH"]),
        Route(f"{API}/items", list_items),
        Route(f"{API}/items", create, methods=["POST"]),
        Route(f"{API}/orders", order, methods=["POST"]),
    ],
    exception_handlers={ValidationError: refuse, ValueError: refuse},
    lifespan=lifespan,
)
