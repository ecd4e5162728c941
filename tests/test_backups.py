"""The commands for backups in a service's README bring back all that was stored."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import sleep

import httpx
import pytest

from hooks.check import Report, production, served
from hooks.databases import PSQL, start_postgres
from hooks.service import Service
from tests.documentation import blocks_in

USER = {"email": "ada@example.com", "name": "Ada", "password": "correct horse battery staple"}


@dataclass(frozen=True)
class Database:
    """A shell beside a database, its URL before and after, and the command that destroys it."""

    folder: Path
    environment: dict[str, str]
    url: str
    restored_url: str
    disaster: str

    def type(self, commands: str) -> None:
        subprocess.run(
            ["bash", "-e"],
            input=commands,
            cwd=self.folder,
            env=self.environment,
            check=True,
            text=True,
        )


@contextmanager
def postgres(folder: Path, environment: dict[str, str]) -> Iterator[Database]:
    process, host = start_postgres(folder / "postgres")
    with process:  # closes its standard input and waits for its end
        tools = {"PGHOST": host, "PGUSER": "postgres"}
        path = f"{Path(PSQL).parent}:{environment['PATH']}"
        yield Database(
            folder,
            environment | tools | {"PATH": path},
            url=f"postgresql://app@/app?host={host}",
            restored_url=f"postgresql://app@/restored?host={host}",
            disaster="dropdb app",
        )


@contextmanager
def sqlite(folder: Path, environment: dict[str, str]) -> Iterator[Database]:
    url = f"sqlite:///{folder}/app.db"
    yield Database(folder, environment, url, url, disaster="echo lost > app.db")


@contextmanager
def client(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{base_url}/api/v1", timeout=60, trust_env=False) as client:
        yield client


def log_in(api: httpx.Client) -> None:
    form = {"username": USER["email"], "password": USER["password"]}
    token = api.post("/auth/token", data=form).raise_for_status().json()["access_token"]
    api.headers["Authorization"] = f"Bearer {token}"


def create_item(api: httpx.Client) -> int:
    item = {"name": "Lamp", "price": "9.50", "stock": 1}
    created: int = api.post("/items", json=item).raise_for_status().json()["id"]
    return created


@contextmanager
def creating_items(api: httpx.Client) -> Iterator[tuple[list[int], Future[None]]]:
    """Create items one after another during the block; yield the ids so far, and what creates."""
    ids: list[int] = []
    is_over = Event()

    def create() -> None:
        while not is_over.is_set():
            ids.append(create_item(api))

    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(create)
        try:
            yield ids, creating
        finally:
            is_over.set()
        creating.result()


def wait_for_more(ids: list[int], creating: Future[None]) -> None:
    begin = len(ids)
    while len(ids) < begin + 20 and not creating.done():
        sleep(0.01)


def all_ids(api: httpx.Client) -> Iterator[int]:
    cursor: dict[str, str] = {}
    while True:
        page = api.get("/items", params=cursor).raise_for_status().json()
        yield from (item["id"] for item in page["items"])
        if not page["next_cursor"]:
            return
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.only("async-postgres-crud-rows", "sync-sqlite-crud")
def test_a_backup_under_load_can_be_restored(
    service: Service, report: Report, folder: Path
) -> None:
    readme = (service.folder / "README.md").read_text("utf-8")
    section = readme.partition("### Backups\n")[2].partition("\n### ")[0]
    back_up, restore = (block.text for block in blocks_in(section, "README.md", 1))
    running = postgres if report.variant.answers["database"] == "postgres" else sqlite
    with running(folder, service.environment()) as database:
        settings = production(database.url)
        with served(service, settings) as base_url, client(base_url) as api:
            api.post("/users", json=USER).raise_for_status()
            log_in(api)
            with creating_items(api) as (ids, creating):
                wait_for_more(ids, creating)
                stored = set(ids)
                database.type(back_up)
                wait_for_more(ids, creating)
        database.type(database.disaster)
        database.type(restore)

        settings = production(database.restored_url) | {
            "SECRET_KEY": "another key of 32 bytes, no less"
        }
        with served(service, settings) as base_url, client(base_url) as restored:
            restored.headers["Authorization"] = api.headers["Authorization"]
            assert restored.get("/users/me").status_code == 401
            log_in(restored)
            found = set(all_ids(restored))
            assert stored <= found < set(ids)
            assert create_item(restored) not in found
