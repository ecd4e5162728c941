"""The service as its users have it: a process of its own, spoken to over HTTP."""

import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx2

SECRET_KEY = "only tests sign with this key, which is long enough"
PASSWORD = "correct horse battery staple"
POOL_SIZE = 5
# For a server whose lines coverage counts, which makes it half as fast.
MEASURED = {"COVERAGE_PROCESS_CONFIG": os.environ.get("COVERAGE_PROCESS_CONFIG", "")}
# A new item, as its seller sends it.
LAMP = {"name": "Lamp", "price": "1.00", "stock": 1}
# Nothing is encrypted here, and to load certificates takes longer than a request.
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
        """Ask for what need not be below `/api/v1`, such as the health of the service."""
        return httpx2.get(f"{self.url}{path}", verify=NO_CERTIFICATES, **options)

    def client(self, **options: Any) -> httpx2.Client:
        defaults: dict[str, Any] = {
            "base_url": f"{self.url}/api/v1",
            "timeout": 60,
            "verify": NO_CERTIFICATES,
        }
        return self.clients.enter_context(httpx2.Client(**defaults | options))

    def sign_up(self, email: str) -> httpx2.Client:
        """Register a user, and return a client that speaks for them."""
        client = self.client()
        client.post("/users", json={"email": email, "name": "Ada", "password": PASSWORD})
        form = {"username": email, "password": PASSWORD}
        token = client.post("/auth/token", data=form).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        return client

    def stop(self) -> str:
        """End the process, and return all that it has logged."""
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.seek(0)
        return self.log.read()


def environment(**settings: str) -> dict[str, str]:
    defaults = {"SECRET_KEY": SECRET_KEY, "LOG_LEVEL": "WARNING", "COVERAGE_PROCESS_CONFIG": ""}
    return {**os.environ, **defaults, **settings}


@contextmanager
def running(command: str, *options: str, folder: Path, **settings: str) -> Iterator[Service]:
    """Run `app serve` or `app dev` until the block ends, in a folder that has no `.env`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Not a pipe: nobody would empty it while the service runs.
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
    deadline = time.monotonic() + 30
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


def at_once(requests: Sequence[Callable[[], httpx2.Response]]) -> list[httpx2.Response]:
    """Send requests that do not wait for each other."""
    with ThreadPoolExecutor(len(requests)) as threads:
        return [future.result() for future in [threads.submit(request) for request in requests]]


def statuses(responses: Sequence[httpx2.Response]) -> Counter[int]:
    return Counter(response.status_code for response in responses)
