"""The limit on Postgres: Starlette and asyncpg by hand, with nothing that the answer does not need.

It asks the database the same as a service, and answers with the same bytes.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import asyncpg
from limit import (
    API,
    POOL_SIZE,
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
USER = "SELECT is_active, token_version FROM users WHERE id = $1"
BUYER = f"{USER} FOR SHARE"
ITEM = f"SELECT {COLUMNS}, version FROM items WHERE id = $1 AND deleted_at IS NULL"
ITEM_WITH_OWNER = """
    SELECT i.id, i.name, i.sku, i.description, i.price, i.stock, i.owner_id, i.created_at,
           i.updated_at, i.version, u.name AS owner_name
    FROM items AS i JOIN users AS u ON u.id = i.owner_id
    WHERE i.id = $1 AND i.deleted_at IS NULL
"""
PAGE = f"""
    SELECT {COLUMNS} FROM items
    WHERE (created_at, id) < ($1, $2) AND deleted_at IS NULL
    ORDER BY created_at DESC, id DESC LIMIT $3
"""
CREATE = f"""
    INSERT INTO items
        (name, sku, description, price, stock, owner_id, created_at, updated_at, version)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 1) RETURNING {COLUMNS}
"""
PATCH = f"""
    UPDATE items SET name = $1, sku = $2, description = $3, price = $4, stock = $5, updated_at = $6,
           version = version + 1
    WHERE id = $7 AND version = $8 AND deleted_at IS NULL RETURNING {COLUMNS}, version
"""
WANTED = """
    SELECT id, price, stock FROM items
    WHERE id = ANY($1) AND deleted_at IS NULL ORDER BY id FOR UPDATE
"""
ORDER = """
    INSERT INTO orders (buyer_id, status, created_at, updated_at)
    VALUES ($1, 'pending', $2, $2) RETURNING id
"""
LINES = """
    INSERT INTO order_lines (order_id, item_id, quantity, unit_price)
    SELECT $1, * FROM unnest($2::bigint[], $3::int[], $4::numeric[])
"""
TAKE = """
    UPDATE items SET stock = stock - quantity, version = version + 1, updated_at = $2
    FROM order_lines WHERE order_id = $1 AND item_id = id
"""


async def user(request: Request, connection: Any, statement: str = USER) -> int:
    user_id, version = token(request)
    row = await connection.fetchrow(statement, user_id)
    if row is None or not row["is_active"] or row["token_version"] != version:
        raise HTTPException(401)
    return user_id


async def get(request: Request) -> Response:
    async with request.app.state.pool.acquire() as connection:
        row = await connection.fetchrow(ITEM_WITH_OWNER, item_id(request))
    if row is None:
        raise HTTPException(404)
    item = dict(row)
    version = item.pop("version")
    item["owner"] = {"id": item["owner_id"], "name": item.pop("owner_name")}
    return answer(item, ETag=f'"{version}"')


async def list_items(request: Request) -> Response:
    limit, created_at, last_id = page(request)
    async with request.app.state.pool.acquire() as connection:
        rows = await connection.fetch(PAGE, created_at, last_id, limit + 1)
    items = [dict(row) for row in rows[:limit]]
    more = len(rows) > limit
    last = items[-1] if more else {}
    next_cursor = cursor(last["created_at"], last["id"]) if more else None
    return answer({"items": items, "next_cursor": next_cursor})


async def create(request: Request) -> Response:
    data = NewItem.model_validate_json(await request.body())
    async with request.app.state.pool.acquire() as connection:
        owner_id = await user(request, connection)
        row = await connection.fetchrow(
            CREATE,
            data.name,
            data.sku,
            data.description,
            data.price,
            data.stock,
            owner_id,
            now(),
        )
    return answer(dict(row), 201, Location=f"{API}/items/{row['id']}", ETag='"1"')


async def patch(request: Request) -> Response:
    changes = ItemChanges.model_validate_json(await request.body()).model_dump(exclude_unset=True)
    async with request.app.state.pool.acquire() as connection:
        user_id = await user(request, connection)
        row = await connection.fetchrow(ITEM, item_id(request))
        if row is None:
            raise HTTPException(404)
        if row["owner_id"] != user_id:
            raise HTTPException(403)
        item = dict(row) | changes
        names = ("name", "sku", "description", "price", "stock")
        values = [item[name] for name in names]
        row = await connection.fetchrow(PATCH, *values, now(), item["id"], item["version"])
    if row is None:
        raise HTTPException(409)
    item = dict(row)
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
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        buyer_id = await user(request, connection, BUYER)
        rows = await connection.fetch(WANTED, list(wanted))
        items = {row["id"]: row for row in rows}
        for item, quantity in sorted(wanted.items()):
            if item not in items:
                rejected.append({"item_id": item, "reason": "not_found"})
            elif items[item]["stock"] < quantity:
                rejected.append({"item_id": item, "reason": "out_of_stock"})
            else:
                price = items[item]["price"]
                lines.append({"item_id": item, "quantity": quantity, "unit_price": price})
        if not lines:
            raise HTTPException(409)
        order_id = await connection.fetchval(ORDER, buyer_id, at)
        columns = zip(*(line.values() for line in lines), strict=True)
        await connection.execute(LINES, order_id, *columns)
        await connection.execute(TAKE, order_id, at)
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


async def keep(_connection: object) -> None:
    """Nothing is left on a connection that would have to be taken back."""


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    url = os.environ["DATABASE_URL"]
    async with asyncpg.create_pool(
        url, min_size=POOL_SIZE, max_size=POOL_SIZE, reset=keep
    ) as app.state.pool:
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
