"""Passwords: which are refused, and how they are hashed and verified.

`common_passwords.txt` has the most common ones of at least 8 characters, in lower case, from two
lists of leaked passwords: all of Django's, by Royce Williams (Copyright (c) Django Software
Foundation and individual contributors, BSD-3-Clause, https://github.com/django/django), and the
5000 most common of zxcvbn's (Copyright (c) 2012-2016 Dan Wheeler and Dropbox, Inc., and (c) 2016
Daniel Wolf, MIT, https://github.com/dwolfhub/zxcvbn-python).
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

from anyio import CapacityLimiter
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Request
from pydantic_core import PydanticCustomError

from app.errors import BusyError

T = TypeVar("T")

# argon2id with the parameters of OWASP's Password Storage Cheat Sheet: 19 MiB, two passes.
hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Verified for an unknown email, so that the answer takes as long as for a known one.
DUMMY_HASH = hasher.hash("nobody")

# Hashing keeps a core busy for about 30 ms. Leave one core for all other requests.
HASHES_AT_ONCE = min(4, max(1, (os.cpu_count() or 1) - 1))
MAX_WAITING = 32 * HASHES_AT_ONCE  # the next one would wait for more than a second
hashing_slots = CapacityLimiter(HASHES_AT_ONCE)
# Threads of their own: a thread that has hashed keeps its 19 MiB for the next hash.
hashing_threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="hashing")


@cache
def common_passwords() -> frozenset[str]:
    """Read the list on first use."""
    file = Path(__file__).with_name("common_passwords.txt")
    return frozenset(file.read_text("ascii").split())


def refuse_common(password: str) -> str:
    """Refuse a password that attackers try first, in upper or lower case."""
    if password.lower() in common_passwords():
        message = "This is one of the most common passwords; choose one that nobody guesses"
        raise PydanticCustomError("common_password", message)
    return password


async def hash_password(password: str, request: Request | None = None) -> str:
    """Hash in a thread. Raises BusyError when too many wait, or the client has disconnected."""
    return await run_in_slot(request, hasher.hash, password)


async def password_matches(
    password_hash: str,
    password: str,
    request: Request | None = None,
) -> bool:
    """Verify in a thread. Raises BusyError as `hash_password` does."""
    return await run_in_slot(request, verify, password_hash, password)


async def run_in_slot(request: Request | None, function: Callable[..., T], *arguments: str) -> T:
    if hashing_slots.statistics().tasks_waiting >= MAX_WAITING:
        raise BusyError("Too many passwords are being checked now; try again.")
    async with hashing_slots:
        if request is not None and await request.is_disconnected():
            raise BusyError("You have hung up.")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(hashing_threads, function, *arguments)


def verify(password_hash: str, password: str) -> bool:
    try:
        return hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
