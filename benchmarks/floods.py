"""What slow clients and floods cost a client that only reads.

    uv run python -m benchmarks.floods [--template DIR] VARIANT...

`--template` takes another tree to compare with, such as a worktree of an older commit.

A reader requests a page of items repeatedly: first alone, then while 60 clients log in, 20
connections stay silent, 10 clients send a body at one byte per second, and one sends a head of
60 MB. Finally the server gets SIGTERM while slow bodies are still under way.
"""

import argparse
import asyncio
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter

import httpx
import psutil

from benchmarks.data import SELLER, fill, log_in, new_database
from benchmarks.endpoints import API
from benchmarks.servers import install, settings
from hooks.check import free_port
from hooks.databases import Databases
from hooks.variants import ROOT, Variant, variants

SECONDS = 15
LOG_INS = 60
SILENT = 20
SLOW_BODIES = 10
HEAD_BYTES = 60 * 10**6
GRACE = 30
FORM = {"username": SELLER["email"], "password": SELLER["password"]}


@dataclass
class Seen:
    """The answers that one reader got."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)

    def p95(self) -> float:
        return quantiles(self.milliseconds, n=20, method="inclusive")[-1]


def read(url: str, seconds: float) -> Seen:
    """Read the newest items and the liveness check in turn."""
    seen = Seen()
    end = monotonic() + seconds
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        while monotonic() < end:
            started = perf_counter()
            for path in (f"{API}/items", "/health/live"):
                try:
                    outcome = str(client.get(path).status_code)
                except httpx.TransportError as error:
                    outcome = type(error).__name__
                seen.statuses[f"{path} {outcome}"] += 1
                if path != "/health/live":
                    seen.milliseconds.append((perf_counter() - started) * 1000)
    return seen


# The floods ----------------------------------------------------------------------------


async def log_in_again_and_again(client: httpx.AsyncClient, seen: Counter[str]) -> None:
    while True:
        try:
            response = await client.post(f"{API}/auth/token", data=FORM)
        except httpx.TransportError as error:
            seen[type(error).__name__] += 1
        else:
            seen[str(response.status_code)] += 1
            await asyncio.sleep(float(response.headers.get("Retry-After", 0)))


async def stay_silent(port: int) -> None:
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(OSError):
            await reader.read()
        writer.close()


async def send_slowly(port: int) -> None:
    head = f"POST {API}/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"{head}Content-Length: 1000\r\n\r\n".encode())
            while not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(1)


async def send_a_head(port: int, sent: Counter[str]) -> None:
    lines = b"".join(b"X-%d: %b\r\n" % (number, b"a" * 80) for number in range(700))
    with suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        while sent["bytes"] < HEAD_BYTES:
            writer.write(lines)
            await writer.drain()
            sent["bytes"] += len(lines)


async def watch(process: psutil.Process, peak: list[float]) -> None:
    while True:
        peak.append(process.memory_info().rss / 2**20)
        await asyncio.sleep(0.02)


async def reading_beside(
    readers: ProcessPoolExecutor, url: str, *floods: Coroutine[None, None, None]
) -> Seen:
    tasks = [asyncio.ensure_future(flood) for flood in floods]
    seen = await asyncio.get_running_loop().run_in_executor(readers, read, url, SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return seen


# One variant ---------------------------------------------------------------------------


@dataclass
class Measured:
    """What one variant did: alone, beside the floods, and when it was told to stop."""

    idle: Seen
    flooded: Seen
    log_ins: Counter[str]
    head_bytes: int
    mib_before: float
    mib_peak: float
    stopped: str = ""


async def measure(process: psutil.Process, port: int) -> Measured:
    url = f"http://127.0.0.1:{port}"
    log_ins: Counter[str] = Counter()
    head: Counter[str] = Counter()
    before: list[float] = []
    during: list[float] = []
    limits = httpx.Limits(max_connections=LOG_INS)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as readers:
        async with httpx.AsyncClient(
            base_url=url, trust_env=False, timeout=60, limits=limits
        ) as client:
            watched = asyncio.ensure_future(watch(process, before))
            # The first log-ins take the memory for hashing, which the process keeps.
            await asyncio.gather(*(client.post(f"{API}/auth/token", data=FORM) for _ in range(4)))
            idle = await reading_beside(readers, url)
            watched.cancel()
            flooded = await reading_beside(
                readers,
                url,
                watch(process, during),
                send_a_head(port, head),
                *(log_in_again_and_again(client, log_ins) for _ in range(LOG_INS)),
                *(stay_silent(port) for _ in range(SILENT)),
                *(send_slowly(port) for _ in range(SLOW_BODIES)),
            )
    return Measured(idle, flooded, log_ins, head["bytes"], max(before), max(during))


async def stop(server: subprocess.Popen[bytes], port: int) -> str:
    """Send SIGTERM while slow bodies are under way, and return how long the server takes."""
    slow = [asyncio.ensure_future(send_slowly(port)) for _ in range(SLOW_BODIES)]
    await asyncio.sleep(1)
    started = monotonic()
    server.send_signal(signal.SIGTERM)
    while server.poll() is None and monotonic() < started + GRACE:
        await asyncio.sleep(0.05)
    seconds = monotonic() - started
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    return f"not in {GRACE} s" if server.poll() is None else f"{seconds:.1f} s"


def report(variant: Variant, it: Measured) -> None:
    idle, flooded = it.idle, it.flooded
    print(f"{variant.name}, {SECONDS} s each, on {os.cpu_count()} cores")
    print(f"  GET /items, p95, alone        {idle.p95():9.1f} ms of {len(idle.milliseconds)}")
    print(f"  GET /items, p95, floods       {flooded.p95():9.1f} ms of {len(flooded.milliseconds)}")
    print(f"  the slowest                   {max(flooded.milliseconds):9.1f} ms")
    print(f"  ratio of the p95              {flooded.p95() / idle.p95():9.1f}")
    print(f"  answers to the reader         {dict(flooded.statuses)}")
    print(f"  memory, before / at its peak  {it.mib_before:9.1f} MiB / {it.mib_peak:.1f} MiB")
    print(f"  read of the head of 60 MB     {it.head_bytes / 1e6:9.1f} MB")
    print(f"  log-ins                       {dict(it.log_ins)}")
    print(f"  SIGTERM, {SLOW_BODIES} slow bodies       {it.stopped:>12}", flush=True)


def main(variant: Variant, template: Path, folder: Path, databases: Databases) -> None:
    service = install(variant, folder, template)
    database_url = new_database(databases, service, variant)
    port = free_port()
    app = str(service.folder / ".venv" / "bin" / "app")
    server = subprocess.Popen(
        [app, "serve", "--port", str(port), "--limit-concurrency", "200"],
        cwd=service.folder,
        env=service.environment(settings(database_url)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        transport = httpx.HTTPTransport(retries=10)  # until it listens
        with httpx.Client(transport=transport, trust_env=False, timeout=60) as client:
            client.get(f"{url}/health/ready").raise_for_status()
        owner_id, _ = log_in(url)
        fill(databases, database_url, owner_id, 1000)
        measured = asyncio.run(measure(psutil.Process(server.pid), port))
        measured.stopped = asyncio.run(stop(server, port))
        report(variant, measured)
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("variants", nargs="+", metavar="VARIANT")
    parser.add_argument("--template", type=Path, default=ROOT)
    arguments = parser.parse_args()
    known = {variant.name: variant for variant in variants(arguments.template)}
    with TemporaryDirectory() as temporary, Databases() as databases:
        for name in arguments.variants:
            main(known[name], arguments.template, Path(temporary, name), databases)
