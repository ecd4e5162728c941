"""The requests that servers are measured with."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

API = "/api/v1"
ITEMS = 10_000
FIRST_CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
# Not whole seconds: a cursor omits the microseconds when they are zero.
INTERVAL = timedelta(seconds=1, microseconds=1)

# Method, path and body.
Request = tuple[str, str, str]


def created_at(item_id: int) -> datetime:
    """Return the creation time that `data.fill` gives to an item."""
    return FIRST_CREATED_AT + item_id * INTERVAL


def cursor(item_id: int) -> str:
    """Return the cursor of the items after this one, newest first."""
    moment = created_at(item_id).isoformat().replace("+00:00", "Z")
    packed = json.dumps(["-created_at", moment, item_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def page_after(item_id: int) -> Request:
    return ("GET", f"{API}/items?limit=20&cursor={cursor(item_id)}", "")


def scattered(number: int) -> int:
    """Return the id of an item far from the previous one; 10,000 numbers visit every item."""
    return number * 7919 % ITEMS + 1  # a prime


def get_requests(_run: int) -> Iterator[Request]:
    return (("GET", f"{API}/items/{scattered(number)}", "") for number in range(ITEMS))


def list_requests(_run: int) -> Iterator[Request]:
    return (page_after(scattered(number)) for number in range(1000))


def create_requests(_run: int) -> Iterator[Request]:
    for number in range(1000):
        item = {"name": f"Lamp {number}", "description": "It shines.", "price": "12.50", "stock": 3}
        yield "POST", f"{API}/items", json.dumps(item)


def patch_requests(run: int) -> Iterator[Request]:
    # Two prices per item and other prices in each run, so that every request changes the row.
    for number in range(2 * ITEMS):
        changes = {"price": f"{run % 1000 * 2 + number // ITEMS}.25", "name": f"Item {number}"}
        yield "PATCH", f"{API}/items/{scattered(number)}", json.dumps(changes)


def order_requests(_run: int) -> Iterator[Request]:
    # Pairs of neighbours, so that concurrent orders do not wait for each other's locks.
    for item_id in range(1, ITEMS, 2):
        lines = [{"item_id": item_id, "quantity": 1}, {"item_id": item_id + 1, "quantity": 2}]
        yield "POST", f"{API}/orders", json.dumps({"lines": lines})


ENDPOINTS: dict[str, Callable[[int], Iterator[Request]]] = {
    "get": get_requests,
    "list": list_requests,
    "create": create_requests,
    "patch": patch_requests,
    "order": order_requests,
}
