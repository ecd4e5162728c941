"""Print how many statements each request takes, as JSON.

    python statements.py MODULE < requests.json

Runs in the application's environment and sends the requests within its own process. Statements that
begin or end a transaction or a savepoint do not count.
"""

import asyncio
import importlib
import json
import sys

from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import event
from sqlalchemy.engine import Engine

TRANSACTION_CONTROL = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "COMMIT")
seen: list[str] = []


@event.listens_for(Engine, "before_cursor_execute")
def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
    if not statement.startswith(TRANSACTION_CONTROL):
        seen.append(statement)


async def main(module: str) -> None:
    application = importlib.import_module(module).app
    requests = json.load(sys.stdin)
    counts = {}
    async with AsyncClient(transport=ASGITransport(application), base_url="http://bench") as client:
        for name, (method, path, body, headers) in requests.items():
            seen.clear()
            response = await client.request(method, path, content=body, headers=headers)
            response.raise_for_status()
            counts[name] = len(seen)
    print(json.dumps(counts))


asyncio.run(main(sys.argv[1]))
