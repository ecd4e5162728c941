"""The service as its users have it: a server process that answers over HTTP."""

import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx2

from app.settings import Settings
from app.tokens import create_access_token
from app.users.models import User
from tests.samples import LAMP, PASSWORD, credentials, email

# Until 1.0.0, these can be imported from here, too; MEASURED is the old name of WITH_COVERAGE.
__all__ = ["LAMP", "MEASURED", "PASSWORD"]

SECRET_KEY = "only tests sign with this key, which is long enough"
POOL_SIZE = 5
# Measures the coverage of a server, which makes it half as fast.
WITH_COVERAGE = {"COVERAGE_PROCESS_CONFIG": os.environ.get("COVERAGE_PROCESS_CONFIG", "")}
MEASURED = WITH_COVERAGE
# Its threads never end. On Python 3.11, coverage of greenlets can hang for ever when several
# threads end at the same time: each leaves a callback to the main thread, and one that is traced
# never returns while the next one waits.
THREADS = ThreadPoolExecutor(max_workers=500)
# Loading certificates takes longer than a request, and nothing is encrypted here.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
# The console script of this project, beside the interpreter that runs the tests.
APP = Path(sys.executable).parent / "app"


@dataclass(frozen=True)
class Service:
    url: str
    database_url: str
    process: subprocess.Popen[str]
    log: IO[str]
    clients: ExitStack

    def get(self, path: str, **options: Any) -> httpx2.Response:
        """Send a request to a path outside `/api/v1`, such as a health check."""
        return httpx2.get(f"{self.url}{path}", verify=NO_CERTIFICATES, **options)

    def client(self, **options: Any) -> httpx2.Client:
        """Return an anonymous client, which is closed with the service."""
        defaults: dict[str, Any] = {
            "base_url": f"{self.url}/api/v1",
            "timeout": 60,
            "verify": NO_CERTIFICATES,
        }
        return self.clients.enter_context(httpx2.Client(**defaults | options))

    def sign_up(self, address: str | None = None) -> httpx2.Client:
        """Register a user, and return a client that speaks for them."""
        data = {"email": address or email(), "name": "Ada", "password": PASSWORD}
        response = self.client().post("/users", json=data)
        # No log-in, because checking the password takes as long as ten requests.
        user = User(id=response.raise_for_status().json()["id"], token_version=1)
        return self.with_token(create_access_token(user, settings(self.database_url)))

    def log_in(self, email: str, password: str = PASSWORD) -> httpx2.Client:
        """Return a client that speaks for this user."""
        client = self.client()
        response = client.post("/auth/token", data=credentials(email, password))
        return self.with_token(response.raise_for_status().json()["access_token"])

    def with_token(self, token: str) -> httpx2.Client:
        """Return a client that sends this token."""
        return self.client(headers={"Authorization": f"Bearer {token}"})

    def is_listening(self) -> bool:
        address = httpx2.URL(self.url)
        with socket.socket() as client:
            return client.connect_ex((address.host, address.port)) == 0

    def stop(self) -> str:
        """End the process, and return everything that it logged."""
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.seek(0)
        return self.log.read()


def settings(database_url: str) -> Settings:
    return Settings(_env_file=None, database_url=database_url, secret_key=SECRET_KEY)


def environment(**settings: str) -> dict[str, str]:
    defaults = {"SECRET_KEY": SECRET_KEY, "LOG_LEVEL": "WARNING", "COVERAGE_PROCESS_CONFIG": ""}
    return {**os.environ, **defaults, **settings}


@contextmanager
def running(command: str, *options: str, folder: Path, **settings: str) -> Iterator[Service]:
    """Run `app serve` or `app dev` until the block ends, in a folder without a `.env`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # A file, because nothing would empty a pipe while the service runs.
    with tempfile.TemporaryFile("w+") as log, ExitStack() as clients:
        process = subprocess.Popen(
            [APP, command, "--port", str(port), *options],
            cwd=folder,
            env=environment(**settings),
            stderr=log,
            text=True,
        )
        database_url = settings.get("DATABASE_URL", "")
        service = Service(f"http://127.0.0.1:{port}", database_url, process, log, clients)
        try:
            wait_until_live(service)
            yield service
        finally:
            service.stop()


def wait_until_live(service: Service) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and service.process.poll() is None:
        try:
            service.get("/health/live").raise_for_status()
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the service did not start:\n{service.stop()}")


def is_unavailable(response: httpx2.Response) -> bool:
    return (
        response.status_code == 503
        and response.headers["Retry-After"] == "1"
        and response.headers["Content-Type"] == "application/problem+json"
    )


@contextmanager
def in_background(
    requests: Sequence[Callable[[], httpx2.Response]],
) -> Iterator[list[Future[httpx2.Response]]]:
    """Send requests concurrently while the block runs, and wait for them at its end."""
    sent = [THREADS.submit(request) for request in requests]
    try:
        yield sent
    finally:
        wait(sent)


def at_once(requests: Sequence[Callable[[], httpx2.Response]]) -> list[httpx2.Response]:
    """Send requests concurrently, and return their responses in the same order."""
    with in_background(requests) as futures:
        return [future.result() for future in futures]


def statuses(responses: Sequence[httpx2.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)


def put_on_sale(seller: httpx2.Client, stock: int = 10) -> int:
    """Create an item and return its id."""
    response = seller.post("/items", json=LAMP | {"stock": stock})
    item_id: int = response.raise_for_status().json()["id"]
    return item_id


def stock_of(client: httpx2.Client, item_id: int) -> int:
    stock: int = client.get(f"/items/{item_id}").json()["stock"]
    return stock
