"""Expand and contract: a release serves on while the next one migrates its database.

On Postgres, where several processes of two versions can share a database.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import copytree
from threading import Condition, Event
from typing import Any

import httpx
import pytest

from hooks.check import production, served
from hooks.databases import Databases
from hooks.release import NEXT
from hooks.service import Service
from hooks.variants import Variant, variants
from tests.api import Api, Json, User, expect_equal, order_body
from tests.projects import Projects

# One for each driver.
DRIVERS = ("async-postgres-repository", "sync-postgres-crud")
CUSTOMERS = 4
# So many that each connection has each statement prepared: psycopg waits for the sixth execution.
ANSWERS = 400
STOCK = 1_000_000

# The migration takes longer than an empty table's, and requests meet its lock.
FILL = """
    INSERT INTO items (owner_id, name, price, stock, version, created_at, updated_at)
    SELECT (SELECT min(id) FROM users), 'Item', 1, 1, 1, now(), now()
    FROM generate_series(1, 20000)
"""


@dataclass
class Customer:
    """Who sends requests, and what they were told is done."""

    user: User
    items: dict[int, Json] = field(default_factory=dict)
    orders: dict[int, Json] = field(default_factory=dict)
    deleted: int = 0


class Load:
    """Customers of one server, who go on until the load ends."""

    def __init__(self, api: Api, sold: int) -> None:
        self.api = api
        self.sold = sold  # the id of an item that all of them order
        self.customers = [Customer(api.register("customer")) for _ in range(CUSTOMERS)]
        self.statuses = Counter[int]()
        self.answered = Condition()
        self.ended = Event()

    def wait_for(self, answers: int) -> None:
        """Wait until the server has given so many answers more."""
        with self.answered:
            goal = self.statuses.total() + answers
            self.answered.wait_for(lambda: self.ended.is_set() or self.statuses.total() >= goal)

    def end(self) -> None:
        with self.answered:
            self.ended.set()
            self.answered.notify_all()

    def go_on(self, customer: Customer) -> None:
        try:
            while not self.ended.is_set():
                self.visit(customer, delete=False)
                self.visit(customer, delete=True)
        finally:
            self.end()  # after a failure, nobody waits for more answers

    def visit(self, customer: Customer, *, delete: bool) -> None:
        send = partial(self.send, customer.user)
        item = send("POST", "/items", 201, body={"name": "New", "price": "1.25"})
        if item is None:
            return
        path = f"/items/{item['id']}"
        send("GET", path, 200)
        send("GET", "/items", 200, params={"owner_id": customer.user.id})
        patched = send("PATCH", path, 200, body={"price": "2.50"})
        customer.items[item["id"]] = patched or item
        order = send("POST", "/orders", 201, body=order_body((self.sold, 1)))
        if order is not None:
            expect_equal(order.pop("rejected"), [])
            customer.orders[order["id"]] = order
        if delete and send("DELETE", path, 204) is not None:
            del customer.items[item["id"]]
            customer.deleted += 1

    def send(self, user: User, method: str, path: str, status: int, **request: Any) -> Any:
        """Return what was answered with this status; None when the service was unavailable."""
        response = self.api.call(method, path, status, 503, user=user, **request)
        with self.answered:
            self.statuses[response.status_code] += 1
            self.answered.notify_all()
        if response.status_code == 503:
            assert "Retry-After" in response.headers, response.headers
            return None
        return response.json() if response.content else {}


@pytest.mark.parametrize(
    "variant", [each for each in variants() if each.name in DRIVERS], ids=lambda each: each.name
)
def test_a_release_serves_on_while_the_next_one_migrates(
    projects: Projects, databases: Databases, folder: Path, venv: Path, variant: Variant
) -> None:
    last = projects.before_the_last_migration(variant.answers)
    old = Service(copytree(projects.copy(last, variant.answers), folder / last))
    new = Service(copytree(projects.copy(NEXT, variant.answers), folder / NEXT), venv)
    new.run("sync")  # not while the old one serves
    database_url = databases.new(variant)
    settings = {**production(database_url), "LOG_LEVEL": "WARNING"}

    with ExitStack() as stack:
        old_api = stack.enter_context(client(old, settings))  # migrates, too
        seller = old_api.register("seller")
        databases.psql(database_url, FILL)
        sold = old_api.make_item(seller, stock=STOCK)["id"]
        with under_load(old_api, sold) as old_load:
            old_load.wait_for(ANSWERS)
            new.run("run", "alembic", "upgrade", "heads", settings=settings)
            old_load.wait_for(ANSWERS)
            new_api = stack.enter_context(client(new, settings))
            with under_load(new_api, sold) as new_load:
                new_load.wait_for(ANSWERS)
                old_load.wait_for(ANSWERS)

        for api in (old_api, new_api):
            expect_done(api, old_load)
            api.call("GET", "/health/ready", 200)
        # Not by the old one, which shows what the new one has deleted.
        expect_done(new_api, new_load)
        customers = old_load.customers + new_load.customers
        ordered = sum(len(customer.orders) for customer in customers)
        expect_equal(new_api.stock(sold), STOCK - ordered)


@contextmanager
def client(service: Service, settings: dict[str, str]) -> Iterator[Api]:
    with (
        served(service, settings) as base_url,
        httpx.Client(base_url=base_url, timeout=60, trust_env=False) as http,
    ):
        yield Api(http, make_admin=lambda _email, _password: None)


@contextmanager
def under_load(api: Api, sold: int) -> Iterator[Load]:
    """Let customers send requests during the block; raise what they have met."""
    load = Load(api, sold)
    with ThreadPoolExecutor(CUSTOMERS) as threads:
        running = [threads.submit(load.go_on, customer) for customer in load.customers]
        try:
            yield load
        finally:
            load.end()
    for each in running:
        each.result()


def expect_done(api: Api, load: Load) -> None:
    """Fail unless the server shows what was answered as done, and nothing else."""
    for customer in load.customers:
        assert customer.items
        assert customer.orders
        assert customer.deleted
        items = api.walk("/items", owner_id=customer.user.id, limit=100)
        expect_shown(items, customer.items)
        expect_shown(api.walk("/orders", customer.user, limit=100), customer.orders)


def expect_shown(found: Iterable[Json], done: dict[int, Json]) -> None:
    shown = {each["id"]: each for each in found}
    expect_equal(shown.keys(), done.keys())
    for row_id, body in done.items():
        # A newer version may show more fields.
        expect_equal({name: shown[row_id].get(name) for name in body}, body)
