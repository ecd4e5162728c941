"""Load: many clients that send requests to one server, and what that costs it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import httpx

from benchmarks.endpoints import API, Request
from benchmarks.servers import BenchError, Server

CONNECTIONS = 32
SCRIPT = Path(__file__).parent / "load.lua"


@dataclass(frozen=True)
class Load:
    """How a server did under load, and what it used."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_request: float
    rss_mib: float


def put_under_load(
    server: Server,
    requests: Iterator[Request],
    token: str,
    seconds: int,
    connections: int = CONNECTIONS,
) -> Load:
    """Send requests for some seconds. Raises BenchError unless every answer is a 2xx."""
    # Wait for what earlier clients have left unfinished.
    httpx.get(f"{server.url}{API}/items/1", timeout=60, trust_env=False).raise_for_status()
    cpu = server.cpu_seconds()
    done = send(server.url, requests, token, seconds, connections)
    cpu = server.cpu_seconds() - cpu
    return Load(
        requests_per_second=done["requests"] / done["seconds"],
        p50_ms=done["p50_ms"],
        p99_ms=done["p99_ms"],
        cpu_us_per_request=cpu / done["requests"] * 1e6,
        rss_mib=server.rss_mib(),
    )


def send(
    url: str,
    requests: Iterable[Request],
    token: str,
    seconds: int,
    connections: int = CONNECTIONS,
) -> dict[str, float]:
    """Send requests for some seconds. Raises BenchError unless every answer is a 2xx."""
    with NamedTemporaryFile("w", suffix=".tsv") as file:
        file.writelines("\t".join(request) + "\n" for request in requests)
        file.flush()
        command = ["wrk", "--threads", "1", "--connections", str(connections)]
        command += ["--duration", f"{seconds}s", "--timeout", "30s"]
        command += ["--script", str(SCRIPT), url, "--", file.name, token]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    done: dict[str, float] = json.loads(output.splitlines()[-1])
    if done["not_2xx"] or done["broken"] or not done["requests"]:
        raise BenchError(f"{url} did not answer every request with a 2xx: {done}")
    return done


def require_wrk() -> None:
    """Install wrk where apt can; raise BenchError where it cannot."""
    if shutil.which("wrk"):
        return
    if shutil.which("apt-get"):
        install = ["apt-get", "install", "--yes", "--no-install-recommends", "wrk"]
        if os.geteuid() != 0:
            install.insert(0, "sudo")
        subprocess.run(install, check=False, stdout=subprocess.DEVNULL)
    if not shutil.which("wrk"):
        raise BenchError("wrk, which sends the requests, is missing: apt install wrk")
