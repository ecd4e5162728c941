"""What the store of a resource costs: processor time per request, in ratios to the ORM's.

    uv run python -m benchmarks.stores [--quick] [VARIANT]

One service has the same resource once for each store. The time is that of the service's process;
what Postgres and MongoDB use is not in it.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx

from benchmarks import data
from benchmarks.comparison import FULL, QUICK, Effort
from benchmarks.endpoints import API, Request
from benchmarks.load import put_under_load, require_wrk
from benchmarks.servers import SERVE, other_cores, serving, settings
from hooks.check import migrate
from hooks.databases import Databases
from hooks.render import render
from hooks.resources import resources
from hooks.service import UV, Service
from hooks.variants import Variant, variants

FIELDS = "title:text body:text:5000:optional rating:integer:1:5 shown:boolean"
ROWS = 1000
PLURALS = {"orm": "papers", "sql": "letters", "tortoise": "scrolls", "mongodb": "tablets"}
MONGODB = """
import sys
from app.mongo.development import server

with server(":memory:") as running:
    print(running.url, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Rows:
    """The rows of one resource, and requests about them."""

    path: str
    ids: list[int | str]

    def get(self, _run: int) -> Iterator[Request]:
        return (("GET", f"{self.path}/{row_id}", "") for row_id in self.ids)

    def list(self, _run: int) -> Iterator[Request]:
        yield "GET", f"{self.path}?limit=20", ""

    def create(self, _run: int) -> Iterator[Request]:
        return (("POST", self.path, body(f"Title {number}")) for number in range(ROWS))

    def patch(self, run: int) -> Iterator[Request]:
        """Change each row to other values each time."""
        for turn in range(20):
            for row_id in self.ids:
                yield "PATCH", f"{self.path}/{row_id}", body(f"Title {run}.{turn}")


REQUESTS = {"get": Rows.get, "list": Rows.list, "create": Rows.create, "patch": Rows.patch}


def body(title: str) -> str:
    return json.dumps({"title": title, "body": "It has a body.", "rating": 3, "shown": True})


def stores_of(variant: Variant) -> list[str]:
    """Return the stores that the variant offers, and the ORM first."""
    answers = variant.answers
    has_tortoise = answers["concurrency"] == "async" and answers["database"] == "postgres"
    return [store for store in PLURALS if store != "tortoise" or has_tortoise]


@contextmanager
def mongodb(service: Service) -> Iterator[str]:
    """Run the stand-in that `app dev` runs, and yield its URL."""
    with subprocess.Popen(
        [UV, "run", "python", "-c", MONGODB],
        cwd=service.folder,
        env=service.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield f"{process.stdout.readline().strip() if process.stdout else ''}bench"


def fill(url: str, token: str, store: str) -> Rows:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    path = f"{API}/{PLURALS[store]}"
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        created = [client.post(path, content=body(f"Title {number}")) for number in range(ROWS)]
    return Rows(path, [each.raise_for_status().json()["id"] for each in created])


def measure(variant: Variant, effort: Effort) -> Mapping[tuple[str, str], list[float]]:
    """Return the microseconds per request of each round, by store and operation."""
    stores = stores_of(variant)
    commands = [f"{PLURALS[store]} {FIELDS} --store {store}" for store in stores]
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="hooks-bench-")), "service")
        render({**variant.answers, "resources": resources(commands)}, folder)
        service = Service(folder)
        service.run("sync", "--compile-bytecode")
        stack.enter_context(other_cores())
        databases = stack.enter_context(Databases())
        url = data.new_database(databases, service, variant)
        migrate(service, settings(url))  # and write the migration of the resources
        service.run("run", "alembic", "upgrade", "heads", settings=settings(url))
        more = {"MONGODB_URL": stack.enter_context(mongodb(service))}
        server = stack.enter_context(serving(variant.name, service, SERVE, url, more))
        user_id, token = data.log_in(server.url)
        data.fill(databases, url, user_id, 1)  # the item that a load waits for
        rows = {store: fill(server.url, token, store) for store in stores}
        for number in range(effort.rounds + 1):
            for operation, make in REQUESTS.items():
                for store in stores[:: 1 if number % 2 else -1]:
                    print(f"{store}: {operation}, round {number}", file=sys.stderr)
                    seconds = effort.seconds if number else 1
                    requests = make(rows[store], number)
                    load = put_under_load(server, requests, token, seconds)
                    if number:
                        found[store, operation].append(load.cpu_us_per_request)
    return found


def main() -> None:
    names = {variant.name: variant for variant in variants()}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variant", nargs="?", choices=names, default="async-postgres-repository")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    arguments = parser.parse_args()
    require_wrk()
    variant = names[arguments.variant]
    found = measure(variant, QUICK if arguments.quick else FULL)
    print(f"{'us (ratio)':12}" + "".join(f"{operation:>14}" for operation in REQUESTS))
    for store in stores_of(variant):
        columns = []
        for operation in REQUESTS:
            own, others = found[store, operation], found["orm", operation]
            ratio = median(one / other for one, other in zip(own, others, strict=True))
            columns.append(f"{median(own):6.0f} ({ratio:4.2f})".rjust(14))
        print(f"{store:12}" + "".join(columns))


if __name__ == "__main__":
    main()
