"""The API's contract (design.md, section 6), checked over HTTP against a running service.

Written from the contract and not from the code, and the same for every variant. Each topic creates
its own users and items, so that all of them can run again on the same database.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

import httpx

Json = dict[str, Any]

USER = {"id", "email", "name", "is_active", "is_admin", "created_at", "updated_at"}
PUBLIC_USER = {"id", "name", "created_at", "profile"}
PROFILE = {"bio", "avatar_url"}
ITEM = {
    "id",
    "name",
    "description",
    "price",
    "stock",
    "sku",
    "owner_id",
    "created_at",
    "updated_at",
}
ORDER = {"id", "status", "lines", "total", "created_at", "updated_at"}
LINE = {"item_id", "quantity", "unit_price"}

SORTS = ("created_at", "-created_at", "price", "-price")
NEXT_STATUSES = {
    "pending": {"processing", "cancelled"},
    "processing": {"shipped", "cancelled"},
    "shipped": {"delivered"},
    "delivered": set[str](),
    "cancelled": set[str](),
}
STATUS_PATH = {
    "pending": (),
    "processing": ("processing",),
    "shipped": ("processing", "shipped"),
    "delivered": ("processing", "shipped", "delivered"),
    "cancelled": ("cancelled",),
}

INT32 = 2**31 - 1
INT64 = 2**63 - 1
MAX_BODY = 2**16
NO_IDS = (
    *("0", "-1", str(INT64 + 1), "9" * 30, "abc", "1.5"),
    # Numbers in some languages, but not in JSON.
    *("+1", "%2B1", "-0", "01", "1.0", "1e0", "1_0", "0x1", "%201", "1%20", "%0a1", "1%0a", "1%00"),
    *("%D9%A1", "%EF%BC%91", "%C2%B9"),  # digits of other scripts
)
# A name, texts that find it, and texts that do not.
LETTERS = (
    ("ΟΔΟΣ ΣΑΣ", "οδοσ ΔΟΣ δοσ σασ Σ", "οδος σας ς"),
    ("οδος", "ΟΔΟς ΟΔΟ", "ΟΔΟΣ οδοσ"),
    ("οδοσα", "ΟΔΟΣ ΟΔΟΣΑ οδοσ", "οδος"),
    ("İstanbul", "istanbul ISTANBUL İSTANBUL i", "ıstanbul i̇stanbul"),
    ("ısı", "ı", "I i"),
    ("Straße", "STRAẞE straße ẞ", "strasse STRASSE"),
    ("ẞ", "ß", "ss SS"),
    ("ﬁn ŉ ǰ", "ﬁ ŉ", "fi FI"),
    ("ǅ Ǆ", "ǆ ǅ", "dž"),
    ("é e\u0301", "É E\u0301", "è"),
    ("\u00c9", "é", "e\u0301"),
    ("ᎠᎡ Ꭰ", "ꭰꭱ Ꭰꭱ", "Ꭲ"),
    ("ᲐᲑ აბ", "აბ ᲐᲑ", "გ"),
    ("Ⅷ Ⓐ Ｚ 𐐀 Ꙁ Ж Ա", "ⅷ ⓐ ｚ 𐐨 ꙁ ж ա", "8 a z"),
    ("\u212a \u2126 \u212b", "k ω å K Å", "b"),
    ("ſ µ ϐ ϑ ẛ ι\u0345", "ſ µ ϐ", "s S Μ β Β"),
    ("ᾼ ᾳ ΐ", "ᾳ ᾼ ΐ", "αι"),
)
ODD_NUMBERS = ("+1", "%2B1", "01", "1.0", "1_0", "%201", "1%0a", "%D9%A1")
# Long enough, but among the first that an attacker tries (OWASP ASVS 5.0, 6.2.4).
COMMON_PASSWORDS = ("password", "PassWord1", "12345678", "qwertyuiop", "iloveyou", "1q2w3e4r")
UNKNOWN_IDS = (INT32 + 1, INT64)  # valid, but of no row
FREE_GUESSES = 10  # wrong passwords in a row that need not wait (OWASP ASVS 5.0, 6.3.1)
LONGEST_WAIT = 300  # seconds
CLIENTS = 10


TOPICS: list[Callable[[Api], None]] = []


def topic(check: Callable[[Api], None]) -> Callable[[Api], None]:
    """Let `check_contract` call this function."""
    TOPICS.append(check)
    return check


def check_contract(
    base_url: str,
    make_admin: Callable[[str, str], None],
    *,
    has_tenants: bool = False,
    without: Collection[Callable[[Api], None]] = (),
) -> None:
    """Raise AssertionError at the first difference between a service and the contract."""
    with httpx.Client(base_url=base_url, timeout=30, trust_env=False) as client:
        api = (ApiOfTenant if has_tenants else Api)(client, make_admin)
        for check in TOPICS:
            if check not in without:
                check(api)
        openapi_document(api)


# Client --------------------------------------------------------------------------------


@dataclass(frozen=True)
class User:
    id: int
    email: str
    password: str
    token: str
    body: Json


class Api:
    """Sends requests, and checks in every response what must hold for all of them."""

    def __init__(self, client: httpx.Client, make_admin: Callable[[str, str], None]) -> None:
        self.client = client
        self.make_admin = make_admin
        self.admin: User | None = None
        self.seen: set[tuple[str, str, int]] = set()

    def call(
        self, method: str, path: str, *expected: int, user: User | None = None, **request: Any
    ) -> httpx.Response:
        """Send a request and check its status: one of `expected`, or if there is none, below 500.

        `body` is sent as JSON in ASCII, unless it is bytes.
        """
        url = path if path.startswith(("/health/", "/openapi.json", "/docs")) else f"/api/v1{path}"
        headers = httpx.Headers(request.pop("headers", None))
        if user is not None:
            headers["Authorization"] = f"Bearer {user.token}"
        if "body" in request:
            body = request.pop("body")
            request["content"] = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        response = self.client.request(method, url, headers=headers, **request)
        self.seen.add((method, response.request.url.path, response.status_code))
        wanted = response.status_code in expected if expected else response.status_code < 500
        assert wanted, f"wanted {expected or 'below 500'}: {show(response)}"
        assert any(
            "request-id" in name.lower() and value for name, value in response.headers.items()
        ), f"no request id in the headers: {show(response)}"
        if response.status_code >= 400 and method != "HEAD":
            check_problem(response)
        return response

    def json(
        self, method: str, path: str, status: int = 200, user: User | None = None, **request: Any
    ) -> Any:
        response = self.call(method, path, status, user=user, **request)
        content_type = response.headers.get("content-type", "")
        assert content_type.partition(";")[0] == "application/json", show(response)
        return response.json()

    def login(self, email: str, password: str, *expected: int) -> httpx.Response:
        form = {"grant_type": "password", "username": email, "password": password}
        return self.call("POST", "/auth/token", *(expected or (200,)), data=form)

    def register(self, label: str) -> User:
        sent = registrant(label)
        body = self.json("POST", "/users", 201, body=sent)
        token = self.login(sent["email"], sent["password"]).json()["access_token"]
        return User(body["id"], sent["email"], sent["password"], token, body)

    def administrator(self) -> User:
        """Return the administrator, whom the first call creates."""
        if self.admin is None:
            sent = registrant("admin")
            self.make_admin(sent["email"], sent["password"])
            token = self.login(sent["email"], sent["password"]).json()["access_token"]
            body = self.json("GET", "/users/me", headers={"Authorization": f"Bearer {token}"})
            check_keys(body, USER, "GET /users/me")
            assert body["is_admin"] is True, body
            self.admin = User(body["id"], sent["email"], sent["password"], token, body)
        return self.admin

    def make_item(self, owner: User, **fields: Any) -> Json:
        sent = {"name": "A thing", "price": "10.00", "stock": 10, **fields}
        item: Json = self.json("POST", "/items", 201, owner, body=sent)
        return item

    def item(self, item_id: int) -> Json:
        """Return the item without its owner, as all other calls show it."""
        item: Json = self.json("GET", f"/items/{item_id}")
        del item["owner"]
        return item

    def stock(self, item_id: int) -> int:
        stock: int = self.item(item_id)["stock"]
        return stock

    def etag(self, item_id: int) -> str:
        return etag_of(self.call("GET", f"/items/{item_id}", 200))

    def make_order(self, buyer: User, *lines: tuple[int, int]) -> Json:
        order: Json = self.json("POST", "/orders", 201, buyer, body=order_body(*lines))
        return order

    def walk(self, path: str, user: User | None = None, **params: Any) -> Iterator[Json]:
        """Yield the rows of all pages, following the cursors."""
        for _ in range(100):
            page = self.json("GET", path, 200, user, params=params)
            check_keys(page, {"items", "next_cursor"}, path)
            assert len(page["items"]) <= params.get("limit", 100), page
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            params["cursor"] = page["next_cursor"]
        raise AssertionError(f"{path} {params}: the pages never end")


class ApiOfTenant(Api):
    """Sends the same requests for the users of one tenant.

    The first user registers; all others are added by them. Items are read with their token.
    """

    def __init__(self, client: httpx.Client, make_admin: Callable[[str, str], None]) -> None:
        super().__init__(client, make_admin)
        self.first: User | None = None
        self.first = self.register("first")

    def call(
        self, method: str, path: str, *expected: int, user: User | None = None, **request: Any
    ) -> httpx.Response:
        headers = httpx.Headers(request.get("headers"))
        if self.first and user is None and "Authorization" not in headers:
            if (method, path) == ("POST", "/users"):
                path, user = "/tenants/me/users", self.first
            elif method in {"GET", "HEAD"} and re.match(r"/items\b", path):
                user = self.first
        return super().call(method, path, *expected, user=user, **request)


def show(response: httpx.Response) -> str:
    request = response.request
    return (
        f"{request.method} {str(request.url)[:300]} with {request_text(request)}\n"
        f"  -> {response.status_code} {dict(response.headers)}\n  {response.text[:1000]}"
    )


def request_text(request: httpx.Request) -> str:
    try:
        return repr(request.content[:300])
    except httpx.RequestNotRead:
        return "a streamed body"


def check_problem(response: httpx.Response) -> None:
    content_type = response.headers.get("content-type", "")
    assert content_type.partition(";")[0] == "application/problem+json", show(response)
    body = response.json()
    assert isinstance(body, dict), show(response)
    assert body.keys() >= {"type", "title", "status", "detail"}, show(response)
    assert body["status"] == response.status_code, show(response)
    assert all(isinstance(body[key], str) for key in ("type", "title", "detail")), show(response)
    assert body["type"], show(response)
    assert body["title"], show(response)
    if response.status_code == 401:
        challenge = response.headers.get("www-authenticate", "")
        assert challenge.lower().startswith("bearer"), show(response)
    if response.status_code == 405:
        assert response.headers.get("allow"), show(response)
    if response.status_code == 422:
        assert isinstance(body.get("errors"), list), show(response)
        assert body["errors"], show(response)
        for error in body["errors"]:
            assert error.keys() == {"loc", "msg", "type"}, show(response)
            assert isinstance(error["loc"], list), show(response)
            assert all(isinstance(part, str | int) for part in error["loc"]), show(response)
            assert isinstance(error["msg"], str), show(response)
            assert isinstance(error["type"], str), show(response)


def check_keys(body: Json, keys: set[str], what: str) -> None:
    assert isinstance(body, dict), f"{what}: not an object: {body}"
    assert body.keys() == keys, f"{what}: {set(body) ^ keys} are extra or missing in {body}"


def check_moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    assert moment.utcoffset() == timedelta(0), f"{text!r} is not in UTC, or has no offset"
    return moment


def check_moments(body: Json) -> None:
    assert check_moment(body["created_at"]) <= check_moment(body["updated_at"]), body


def expect_equal(found: object, expected: object) -> None:
    assert found == expected, f"found {found!r}, not {expected!r}"


def check_money(text: object) -> Decimal:
    assert isinstance(text, str), f"{text!r} is not money: not a string"
    assert re.fullmatch(r"\d+\.\d{2}", text), f"{text!r} is not money: two decimals"
    return Decimal(text)


def check_order(order: Json, keys: set[str]) -> None:
    check_keys(order, keys, "order")
    check_moments(order)
    for line in order["lines"]:
        check_keys(line, LINE, "line of an order")
    costs = (line["quantity"] * check_money(line["unit_price"]) for line in order["lines"])
    assert check_money(order["total"]) == sum(costs), order


def etag_of(response: httpx.Response) -> str:
    etag: str = response.headers.get("etag", "")
    assert re.fullmatch(r'"[^"]+"', etag), f"no strong ETag: {show(response)}"
    return etag


def unique() -> str:
    return uuid.uuid4().hex[:16]


def registrant(label: str) -> Json:
    return {"email": f"{label}-{unique()}@example.com", "name": f"Jo {label}", "password": unique()}


def order_body(*lines: tuple[int, int]) -> Json:
    return {"lines": [{"item_id": item_id, "quantity": quantity} for item_id, quantity in lines]}


def without(body: Json, key: str) -> Json:
    return {name: value for name, value in body.items() if name != key}


def ids(bodies: Sequence[Json]) -> list[int]:
    return [body["id"] for body in bodies]


def at_once(count: int, call: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """Make `count` calls that start together, each with its number."""
    barrier = Barrier(count)

    def one(number: int) -> httpx.Response:
        barrier.wait(timeout=30)
        return call(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def statuses(responses: Sequence[httpx.Response]) -> list[int]:
    return sorted(response.status_code for response in responses)


# Users ---------------------------------------------------------------------------------


@topic
def registration(api: Api) -> None:
    sent = registrant("registration")
    response = api.call("POST", "/users", 201, body=sent)
    created = response.json()
    check_keys(created, USER, "POST /users")
    check_moments(created)
    assert isinstance(created["id"], int), show(response)
    assert 1 <= created["id"] <= INT64, show(response)
    assert (created["email"], created["name"]) == (sent["email"], sent["name"]), show(response)
    assert created["is_active"] is True, show(response)
    assert created["is_admin"] is False, show(response)
    assert sent["password"] not in response.text, show(response)
    for email in (sent["email"], sent["email"].upper(), sent["email"].title()):
        api.call("POST", "/users", 409, body={**sent, "email": email, "password": unique()})
    token = api.login(sent["email"], sent["password"]).json()["access_token"]
    me = api.json("GET", "/users/me", headers={"Authorization": f"Bearer {token}"})
    assert me == created, f"{me} is not what was created: {created}"


@topic
def registration_of_a_mixed_case_email(api: Api) -> None:
    sent = registrant("Mixed.Case")
    sent["email"] = sent["email"].replace("example.com", "Example.COM")
    created = api.json("POST", "/users", 201, body=sent)
    assert created["email"].lower() == sent["email"].lower(), created
    api.call("POST", "/users", 409, body={**sent, "email": sent["email"].lower()})
    api.login(sent["email"], sent["password"])


@topic
def registration_bounds(api: Api) -> None:
    least = {**registrant("least"), "name": "é", "password": unique()[:8]}
    most = {**registrant("most"), "name": "é" * 100, "password": unique() * 8}
    for sent in (least, most):
        expect_equal(api.json("POST", "/users", 201, body=sent)["name"], sent["name"])
        api.login(sent["email"], sent["password"])
    sent = registrant("bounds")
    refused: list[Json] = [
        {"name": ""},
        {"name": "n" * 101},
        {"password": unique()[:7]},
        {"password": unique() * 8 + "x"},
        *({"password": common} for common in COMMON_PASSWORDS),
        {"email": ""},
        {"email": "nobody"},
        {"email": "nobody@"},
        {"email": "@example.com"},
        {"email": "two@at@example.com"},
        {"email": "e" * 1000 + "@example.com"},
        {"is_admin": True},
        {"is_active": True},
        {"id": 1},
    ]
    for wrong in refused:
        api.call("POST", "/users", 422, body={**sent, **wrong})
    for field in sent:
        api.call("POST", "/users", 422, body={**sent, field: None})
        api.call("POST", "/users", 422, body={**sent, field: [1]})
        api.call("POST", "/users", 422, body=without(sent, field))
    api.call("POST", "/users", 201, body=sent)


@topic
def tokens(api: Api) -> None:
    user = api.register("tokens")
    answer = api.login(user.email, user.password).json()
    check_keys(answer, {"access_token", "token_type"}, "POST /auth/token")
    assert answer["token_type"].lower() == "bearer", answer
    form = {"username": user.email, "password": user.password}
    for ignored in ({"unknown": "1"}, {"scope": ""}, {"grant_type": ""}):  # RFC 6749, 3.2
        api.call("POST", "/auth/token", 200, data={**form, **ignored})
    api.login(user.email, unique(), 401)
    api.login(f"{unique()}@example.com", user.password, 401)
    api.call("POST", "/auth/token", 422, data={"username": user.email})
    api.call("POST", "/auth/token", 422, data={"password": user.password})
    api.call("POST", "/auth/token", 422, body={"username": user.email, "password": user.password})
    api.call("POST", "/auth/token", 422)
    api.call("GET", "/users/me", 401)
    refused = ["", "Bearer", "Bearer x", "Bearer a.b.c", "Basic eDp5", user.token]
    refused += [f"Bearer {token}" for token in forgeries(user.token)]
    for credentials in refused:
        api.call("GET", "/users/me", 401, headers={"Authorization": credentials})
    not_text = [(b"Authorization", b"Bearer \xff\xfe")]
    api.call("GET", "/users/me", 401, headers=not_text)


def forgeries(token: str) -> Iterator[str]:
    yield token[: len(token) // 2]
    yield token + "x" * 4
    yield token[::-1]
    if token.count(".") == 2:  # a JSON web token, which anybody can decode
        _, payload, signature = token.split(".")
        nothing = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
        yield f"{nothing}.{payload}."
        yield f"{nothing}.{payload}.{signature}"
        claims = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
        other = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), claims)
        forged = base64.urlsafe_b64encode(f"{other} ".encode()).decode().rstrip("=")
        yield token.replace(payload, forged)


@topic
def login_takes_the_same_time(api: Api) -> None:
    sent = registrant("timing")
    api.json("POST", "/users", 201, body=sent)

    def seconds(email: str) -> float:
        start = time.perf_counter()
        api.login(email, unique(), 401)
        return time.perf_counter() - start

    pairs = [(seconds(sent["email"]), seconds(f"{unique()}@example.com")) for _ in range(6)]
    known, unknown = (min(times) for times in zip(*pairs, strict=True))
    times = f"wrong password {known:.4f} s, unknown email {unknown:.4f} s"
    assert 0.4 < unknown / known < 2.5, f"the time tells which emails are known: {times}"


@topic
def guessed_passwords(api: Api) -> None:
    """After many wrong passwords for one email, known or not, the next one has to wait."""
    user, other = api.register("guessed"), api.register("other")
    refusals = [guess_until_refused(api, email) for email in (f"{unique()}@x.example", user.email)]
    assert refusals[0].json() == refusals[1].json(), "the refusal tells which emails are known"
    api.login(other.email, other.password)
    time.sleep(int(refusals[1].headers["retry-after"]))
    api.login(user.email.upper(), user.password)
    # The right one has ended the row of wrong ones.
    for _ in range(FREE_GUESSES):
        api.login(user.email, unique(), 401)
    api.login(user.email, user.password)


def guess_until_refused(api: Api, email: str) -> httpx.Response:
    """Try wrong passwords until one is not even looked at.

    On a slow machine, a short wait may be over before the next try; but each one is longer.
    """
    for number in range(2 * FREE_GUESSES):
        wanted = (401,) if number < FREE_GUESSES else (401, 429)
        # The case of an email does not matter.
        answer = api.login(email.upper() if number % 2 else email, unique(), *wanted)
        if answer.status_code == 429:
            wait = answer.headers.get("retry-after", "")
            assert re.fullmatch(r"[1-9][0-9]*", wait), show(answer)
            assert int(wait) <= LONGEST_WAIT, show(answer)
            return answer
    raise AssertionError(f"{number + 1} wrong passwords for one email, and none had to wait")


@topic
def guessed_current_passwords(api: Api) -> None:
    """A token gives its thief no more guesses than the log-in does."""
    user = api.register("stolen")
    for number in range(2 * FREE_GUESSES):
        body = {"email": f"{unique()}@example.com", "current_password": unique()}
        wanted = (403,) if number < FREE_GUESSES else (403, 429)
        answer = api.call("PATCH", "/users/me", *wanted, user=user, body=body)
        if answer.status_code == 429:
            break
    wait = int(answer.headers["retry-after"])
    expect_equal(api.json("GET", "/users/me", 200, user), user.body)
    time.sleep(wait)
    api.login(user.email, user.password)


@topic
def me(api: Api) -> None:
    user = api.register("me")
    expect_equal(api.json("GET", "/users/me", 200, user), user.body)
    changed = api.json("PATCH", "/users/me", 200, user, body={"name": "Another"})
    check_keys(changed, USER, "PATCH /users/me")
    check_moments(changed)
    stamped = without({**user.body, "name": "Another"}, "updated_at")
    assert without(changed, "updated_at") == stamped, changed
    expect_equal(api.json("GET", "/users/me", 200, user), changed)
    current = {"current_password": user.password}
    refused: list[Json] = [
        *({field: None} for field in ("name", "email", "password", "current_password")),
        {"name": ""},
        {"name": "n" * 101},
        {**current, "email": "nobody"},
        {**current, "password": unique()[:7]},
        {**current, "password": unique() * 8 + "x"},
        *({**current, "password": common} for common in COMMON_PASSWORDS),
        {"password": unique()},
        {"email": f"{unique()}@example.com"},
        {"name": "Kept", "password": unique()},
        {"password": unique(), "current_password": None},
        {"password": unique(), "current_password": 1},
        {"password": unique(), "current_password": ""},
        *({field: 1} for field in ("id", "is_admin", "is_active", "created_at", "unknown")),
        {"name": "Kept", "is_admin": True},
    ]
    for wrong in refused:
        api.call("PATCH", "/users/me", 422, user=user, body=wrong)
    changes: list[Json] = [{"password": unique()}, {"email": f"{unique()}@example.com"}]
    for change in changes:
        for wrong_password in (unique(), user.password.upper(), f"{user.password} "):
            body = {**change, "name": "Kept", "current_password": wrong_password}
            api.call("PATCH", "/users/me", 403, user=user, body=body)
    expect_equal(api.json("GET", "/users/me", 200, user), changed)
    api.login(user.email, user.password)
    for method in ("GET", "DELETE"):
        api.call(method, "/users/me", 401)
    api.call("PATCH", "/users/me", 401, body={"name": "Another"})


@topic
def change_of_email(api: Api) -> None:
    user, other = api.register("email"), api.register("other")
    for email in (other.email, other.email.upper()):
        body = {"email": email, "current_password": user.password}
        api.call("PATCH", "/users/me", 409, user=user, body=body)
    expect_equal(api.json("GET", "/users/me", 200, user), user.body)
    email = f"new-{unique()}@example.com"
    body = {"email": email, "current_password": user.password}
    expect_equal(api.json("PATCH", "/users/me", 200, user, body=body)["email"], email)
    api.login(email, user.password)
    api.login(user.email, user.password, 401)


@topic
def change_of_password(api: Api) -> None:
    user = api.register("password")
    password = unique()
    body = {"password": password, "current_password": user.password}
    response = api.call("PATCH", "/users/me", 200, user=user, body=body)
    assert password not in response.text, show(response)
    api.call("GET", "/users/me", 401, user=user)
    api.login(user.email, user.password, 401)
    token = api.login(user.email, password).json()["access_token"]
    api.call("GET", "/users/me", 200, headers={"Authorization": f"Bearer {token}"})


@topic
def deactivation(api: Api) -> None:
    user = api.register("deactivation")
    second = api.login(user.email, user.password).json()["access_token"]
    response = api.call("DELETE", "/users/me", 204, user=user)
    assert response.content == b"", show(response)
    api.call("GET", "/users/me", 401, user=user)
    api.call("DELETE", "/users/me", 401, user=user)
    api.call("GET", "/users/me", 401, headers={"Authorization": f"Bearer {second}"})
    api.call("POST", "/items", 401, user=user, body={"name": "A thing", "price": "1.00"})
    api.login(user.email, user.password, 401)
    again = {"email": user.email, "name": "Again", "password": unique()}
    api.call("POST", "/users", 409, body=again)


@topic
def the_last_administrator_of_a_tenant(api: Api) -> None:
    """Whoever registers may leave again, but not before the users of their tenant."""
    sent = registrant("owner")
    body = Api.call(api, "POST", "/users", 201, body=sent).json()
    token = api.login(sent["email"], sent["password"]).json()["access_token"]
    owner = User(body["id"], sent["email"], sent["password"], token, body)
    if isinstance(api, ApiOfTenant):
        member = registrant("member")
        added = api.json("POST", "/tenants/me/users", 201, owner, body=member)
        api.call("DELETE", "/users/me", 409, user=owner)
        path = f"/users/{added['id']}"
        api.call("PATCH", path, 200, user=owner, body={"is_active": False})
    api.call("DELETE", "/users/me", 204, user=owner)


@topic
def administration(api: Api) -> None:
    admin, user, other = api.administrator(), api.register("user"), api.register("other")
    path = f"/users/{user.id}"
    bodies: list[Json] = [{"is_active": False}, {}]
    for body in bodies:
        api.call("PATCH", path, 401, body=body)
        api.call("PATCH", path, 403, user=other, body=body)
        api.call("PATCH", path, 403, user=user, body=body)
    no_booleans: list[Any] = [None, "false", 0, 1, "", [], {}]
    refused: list[Json] = [
        *({"is_active": value} for value in no_booleans),
        *({"is_active": False, name: True} for name in ("is_admin", "id", "name", "unknown")),
    ]
    for wrong in refused:
        api.call("PATCH", path, 422, user=admin, body=wrong)
    expect_equal(api.json("PATCH", path, 200, admin, body={}), user.body)
    expect_equal(api.json("PATCH", path, 200, admin, body={"is_active": True})["is_active"], True)
    api.call("GET", "/users/me", 200, user=user)

    deactivated = api.json("PATCH", path, 200, admin, body={"is_active": False})
    check_moments(deactivated)
    assert without(deactivated, "updated_at") == without(
        {**user.body, "is_active": False}, "updated_at"
    ), deactivated
    api.call("GET", "/users/me", 401, user=user)
    api.login(user.email, user.password, 401)
    api.call("GET", "/users/me", 200, user=other)

    expect_equal(api.json("PATCH", path, 200, admin, body={"is_active": True})["is_active"], True)
    api.call("GET", "/users/me", 401, user=user)
    token = api.login(user.email, user.password).json()["access_token"]
    api.call("GET", "/users/me", 200, headers={"Authorization": f"Bearer {token}"})

    api.call("PATCH", f"/users/{admin.id}", 409, user=admin, body={"is_active": False})
    api.call("GET", "/users/me", 200, user=admin)
    for number in UNKNOWN_IDS:
        api.call("PATCH", f"/users/{number}", 404, user=admin, body={"is_active": False})
    for no_id in NO_IDS:
        api.call("PATCH", f"/users/{no_id}", 422, user=admin, body={"is_active": False})


@topic
def reactivation(api: Api) -> None:
    """Tokens from before a deactivation stay invalid after the account is active again."""
    admin, user = api.administrator(), api.register("back")
    api.call("DELETE", "/users/me", 204, user=user)
    api.call("PATCH", f"/users/{user.id}", 200, user=admin, body={"is_active": True})
    api.call("GET", "/users/me", 401, user=user)
    api.login(user.email, user.password)


@topic
def profile(api: Api) -> None:
    user = api.register("profile")
    path = "/users/me/profile"
    api.call("GET", path, 404, user=user)
    url = "https://example.com/a.png"
    bodies: list[Json] = [
        {"bio": "Writes.", "avatar_url": url},
        {"bio": None, "avatar_url": None},
        {"bio": "é" * 500, "avatar_url": f"http://example.com/{'a' * (500 - 19)}"},
    ]
    for sent in bodies:
        response = api.call("PUT", path, 200, 201, user=user, body=sent)
        check_keys(response.json(), PROFILE, "PUT profile")
        assert response.json() == sent, show(response)
        expect_equal(api.json("GET", path, 200, user), sent)
    last = bodies[-1]
    refused: list[Json] = [
        {"bio": "b" * 501},
        {"bio": 1},
        {"avatar_url": f"{url}?{'a' * 500}"},
        {"user_id": 1},
        {"id": 1},
    ]
    for wrong in ("", "nonsense", "/a.png", "ftp://example.com/a", "javascript:alert(1)"):
        refused.append({"avatar_url": wrong})
    for body in refused:
        api.call("PUT", path, 422, user=user, body={**last, **body})
    expect_equal(api.json("GET", path, 200, user), last)
    api.call("GET", path, 401)
    api.call("PUT", path, 401, body=last)


@topic
def public_user(api: Api) -> None:
    user, reader = api.register("public"), api.register("reader")
    seen = api.json("GET", f"/users/{user.id}", 200, reader)
    check_keys(seen, PUBLIC_USER, "GET /users/{id}")
    check_moment(seen["created_at"])
    expected = {key: user.body[key] for key in ("id", "name", "created_at")}
    assert seen == {**expected, "profile": None}, seen
    shown = {"bio": "Writes.", "avatar_url": None}
    api.call("PUT", "/users/me/profile", 200, 201, user=user, body=shown)
    seen = api.json("GET", f"/users/{user.id}", 200, reader)
    assert seen == {**expected, "profile": shown}, seen
    api.call("GET", f"/users/{user.id}", 401)
    for number in UNKNOWN_IDS:
        api.call("GET", f"/users/{number}", 404, user=reader)
    for wrong in NO_IDS:
        api.call("GET", f"/users/{wrong}", 422, user=reader)


@topic
def users_list(api: Api) -> None:
    word, admin = unique(), api.administrator()
    crowd = [registrant(f"{word}_{number}") for number in range(4)]
    crowd += [{**registrant(f"{word}x{number}"), "name": f"{word} 100% wool"} for number in (0, 1)]
    for sent in crowd:
        api.call("POST", "/users", 201, body=sent)
    page = api.json("GET", "/users", 200, admin, params={"q": word, "limit": 4, "offset": 0})
    check_keys(page, {"items", "total", "limit", "offset"}, "GET /users")
    assert (page["total"], page["limit"], page["offset"]) == (6, 4, 0), page
    assert len(page["items"]) == 4, page
    assert all({"id", "email", "name", "is_active"} <= user.keys() for user in page["items"]), page
    assert not any("password" in key for user in page["items"] for key in user), page
    rest = api.json("GET", "/users", 200, admin, params={"q": word, "limit": 4, "offset": 4})
    assert len(set(ids(page["items"] + rest["items"]))) == 6, rest
    beyond = api.json("GET", "/users", 200, admin, params={"q": word, "offset": 6})
    assert (beyond["items"], beyond["total"]) == ([], 6), beyond
    found = {
        ("q", f"{word}_"): 4,
        ("q", f"{word} 100%"): 2,
        ("q", f"{word} 1%"): 0,
        ("q", f"{word}\\"): 0,
        ("email", word): 6,
        ("email", f"{word}_"): 4,
        ("email", f"{word}x0"): 1,
        ("email", f"%{word}"): 0,
        ("email", f"{word} 100% wool"): 0,
        ("email", f"{word}\\_"): 0,
    }
    for (name, text), count in found.items():
        answer = api.json("GET", "/users", 200, admin, params={name: text})
        assert answer["total"] == count, f"{name}={text!r} found not {count} but {answer}"
        assert len(answer["items"]) == count, f"{name}={text!r}: {answer}"


@topic
def users_list_refusals(api: Api) -> None:
    admin = api.administrator()
    api.call("GET", "/users", 401)
    api.call("GET", "/users", 403, user=api.register("plain"))
    refused = ["limit=0", "limit=-1", "limit=x", f"limit={INT64 + 1}", "offset=-1", "offset=x"]
    refused += [f"offset={INT64 + 1}", "is_active=maybe", "q=%00", "email=%00", "q=a%00b"]
    refused += [f"is_active={word}" for word in ("1", "0", "on", "yes", "t", "True", "%20true")]
    refused += [f"{name}={number}" for name in ("limit", "offset") for number in ODD_NUMBERS]
    for query in refused:
        api.call("GET", f"/users?{query}", 422, user=admin)
    for query in ("q=", "email=", "q=%ff", "email=%ed%a0%80", f"q={'a' * 5000}"):
        api.call("GET", f"/users?{query}", user=admin)


@topic
def users_list_by_activity(api: Api) -> None:
    word, admin = unique(), api.administrator()
    gone, here = api.register(f"{word}-gone"), api.register(f"{word}-here")
    api.call("DELETE", "/users/me", 204, user=gone)
    for active, expected in (("true", [here.id]), ("false", [gone.id])):
        params = {"email": word, "is_active": active}
        page = api.json("GET", "/users", 200, admin, params=params)
        assert ids(page["items"]) == expected, f"is_active={active}: {page}"
        assert page["total"] == 1, page


# Items ---------------------------------------------------------------------------------


@topic
def item_crud(api: Api) -> None:
    owner, other = api.register("owner"), api.register("other")
    sent = {"name": "Lämp 💡", "description": "Light", "price": "19.90", "stock": 3}
    response = api.call("POST", "/items", 201, user=owner, body=sent)
    item = response.json()
    check_keys(item, ITEM, "POST /items")
    check_moments(item)
    assert {**item, **sent, "owner_id": owner.id} == item, show(response)
    path = f"/items/{item['id']}"
    assert urlsplit(response.headers["location"]).path == f"/api/v1{path}", show(response)
    read = api.call("GET", path, 200)
    owned = {**item, "owner": {"id": owner.id, "name": owner.body["name"]}}
    assert read.json() == owned, f"not what was created: {show(read)}"
    assert etag_of(read) == etag_of(response), show(read)
    change = {"name": "Lamp", "description": None, "price": "20.00", "stock": 0}
    changed = api.json("PATCH", path, 200, owner, body=change)
    check_moments(changed)
    stamped = {**item, **change, "updated_at": changed["updated_at"]}
    assert {key: changed[key] for key in ITEM} == stamped, changed
    expect_equal(api.item(item["id"]), stamped)
    for user, status in ((None, 401), (other, 403)):
        api.call("PATCH", path, status, user=user, body={"name": "Stolen"})
        api.call("DELETE", path, status, user=user)
    expect_equal(api.item(item["id"]), stamped)
    gone = api.call("DELETE", path, 204, user=owner)
    assert gone.content == b"", show(gone)
    expect_gone(api, item["id"], owner)
    expect_gone(api, item["id"], other)


def expect_gone(api: Api, item_id: int, user: User) -> None:
    """Check that nobody finds a deleted item, not even its owner."""
    path = f"/items/{item_id}"
    api.call("GET", path, 404)
    api.call("GET", path, 404, user=user)
    api.call("PATCH", path, 404, user=user, body={"name": "Gone"})
    api.call("PATCH", path, 404, user=user, body={"name": "Gone"}, headers={"If-Match": "*"})
    api.call("POST", f"{path}/transfer", 404, user=user, body={"to_user_id": user.id})
    for if_match in ({}, {"If-Match": "*"}, {"If-Match": '"nonsense"'}):
        api.call("DELETE", path, 404, user=user, headers=if_match)
    api.call("POST", "/orders", 409, user=user, body=order_body((item_id, 1)))


@topic
def item_deletion_and_restoration(api: Api) -> None:
    owner, other = api.register("owner"), api.register("other")
    kept, item = api.make_item(owner), api.make_item(owner, stock=4, sku="A-1")
    path = f"/items/{item['id']}"
    first = api.etag(item["id"])
    api.call("POST", f"{path}/restore", 404, user=owner)
    api.call("POST", f"{path}/restore", 404, user=other)
    expect_equal((api.item(item["id"]), api.etag(item["id"])), (item, first))

    api.call("DELETE", path, 204, user=owner, headers={"If-Match": first})
    expect_gone(api, item["id"], owner)
    for sort in SORTS:
        listed = list(api.walk("/items", owner_id=owner.id, sort=sort))
        expect_equal(listed, [kept])
    expect_equal(list(api.walk("/items", owner_id=owner.id, q="thing", max_price="10")), [kept])
    order = api.make_order(other, (item["id"], 1), (kept["id"], 1))
    expect_equal(order["rejected"], [{"item_id": item["id"], "reason": "not_found"}])

    api.call("POST", f"{path}/restore", 401)
    api.call("POST", f"{path}/restore", 403, user=other)
    api.call("GET", path, 404)
    response = api.call("POST", f"{path}/restore", 200, user=owner)
    restored = response.json()
    check_keys(restored, ITEM, "POST /items/{id}/restore")
    check_moments(restored)
    expect_equal(restored, {**item, "updated_at": restored["updated_at"]})
    expect_equal((api.item(item["id"]), api.etag(item["id"])), (restored, etag_of(response)))
    for method, body in (("PATCH", {"name": "Lost"}), ("DELETE", None)):
        request: Json = {"headers": {"If-Match": first}, **({"body": body} if body else {})}
        api.call(method, path, 412, user=owner, **request)
    expect_equal(api.item(item["id"]), restored)
    api.call("POST", f"{path}/restore", 404, user=owner)
    api.make_order(other, (item["id"], 4))
    for number in UNKNOWN_IDS:
        api.call("POST", f"/items/{number}/restore", 404, user=owner)
    for wrong in NO_IDS:
        api.call("POST", f"/items/{wrong}/restore", 422, user=owner)


@topic
def a_deleted_item_leaves_the_page_that_follows(api: Api) -> None:
    owner = api.register("pages")
    items = [api.make_item(owner) for _ in range(5)]
    params: Json = {"owner_id": owner.id, "limit": 2}
    page = api.json("GET", "/items", params=params)
    gone = items[2]["id"]
    api.call("DELETE", f"/items/{gone}", 204, user=owner)
    rest = ids(list(api.walk("/items", **params, cursor=page["next_cursor"])))
    expect_equal(
        ids(page["items"]) + rest, [number for number in ids(items)[::-1] if number != gone]
    )


@topic
def skus(api: Api) -> None:
    owner, other = api.register("sku"), api.register("other")
    item = api.make_item(owner, sku="A-1")
    expect_equal((item["sku"], api.item(item["id"])), ("A-1", item))
    expect_equal(api.json("GET", "/items", params={"owner_id": owner.id})["items"], [item])
    for sku in (
        "a-1",
        "A-1 ",
        " A-1",
        "A",
        "é",
        "e\u0301",
        "é" * 64,
        "💡",
        "%",
        "null",
        None,
        None,
    ):
        expect_equal(api.make_item(owner, sku=sku)["sku"], sku)
    expect_equal(api.make_item(owner)["sku"], None)
    expect_equal(api.make_item(other, sku="A-1")["sku"], "A-1")
    before = list(api.walk("/items", owner_id=owner.id))
    body = {"name": "A thing", "price": "1.00", "sku": "A-1"}
    api.call("POST", "/items", 409, user=owner, body=body)
    api.call("POST", "/items", 401, body=body)
    expect_equal(list(api.walk("/items", owner_id=owner.id)), before)

    second = api.make_item(owner, sku="A-2")
    path = f"/items/{second['id']}"
    api.call("PATCH", path, 409, user=owner, body={"name": "Lost", "sku": "A-1"})
    expect_equal(api.item(second["id"]), second)
    for sku in ("A-2", "A-3", None, "A-2"):
        changed = api.json("PATCH", path, 200, owner, body={"sku": sku})
        expect_equal((changed["sku"], api.item(second["id"])["sku"]), (sku, sku))
    api.call("PATCH", f"/items/{item['id']}", 200, user=owner, body={"sku": "A-4"})
    api.call("PATCH", path, 200, user=owner, body={"sku": "A-1"})


@topic
def a_sku_is_free_once_its_item_is_deleted(api: Api) -> None:
    owner = api.register("sku")
    first = api.make_item(owner, sku="A-1")["id"]
    api.call("DELETE", f"/items/{first}", 204, user=owner)
    second = api.make_item(owner, sku="A-1")["id"]
    api.call("POST", f"/items/{first}/restore", 409, user=owner)
    api.call("GET", f"/items/{first}", 404)
    expect_equal(ids(list(api.walk("/items", owner_id=owner.id))), [second])
    api.call("PATCH", f"/items/{second}", 200, user=owner, body={"sku": "A-2"})
    expect_equal(api.json("POST", f"/items/{first}/restore", 200, owner)["sku"], "A-1")
    api.call("PATCH", f"/items/{second}", 409, user=owner, body={"sku": "A-1"})
    for _ in range(3):
        api.call("DELETE", f"/items/{first}", 204, user=owner)
        first = api.make_item(owner, sku="A-1")["id"]


@topic
def a_sku_is_unique_after_a_transfer(api: Api) -> None:
    owner, heir = api.register("owner"), api.register("heir")
    given, own = api.make_item(owner, sku="A-1"), api.make_item(heir, sku="A-1")
    path = f"/items/{given['id']}"
    body = {"to_user_id": heir.id}
    for headers in ({}, {"If-Match": api.etag(given["id"])}):
        api.call("POST", f"{path}/transfer", 409, user=owner, body=body, headers=headers)
    expect_equal(api.item(given["id"]), given)
    api.call("DELETE", f"/items/{own['id']}", 204, user=heir)
    api.call("POST", f"{path}/transfer", 200, user=owner, body=body)
    api.call("POST", f"/items/{own['id']}/restore", 409, user=heir)
    api.make_item(owner, sku="A-1")


@topic
def item_import(api: Api) -> None:
    owner, other = api.register("import"), api.register("other")
    api.make_item(other, sku="B")
    deleted = api.make_item(owner, sku="C")["id"]
    api.call("DELETE", f"/items/{deleted}", 204, user=owner)
    there = api.make_item(owner, sku="D")
    rows: list[Json] = [
        {"name": "Taken", "price": "1.00", "sku": "D"},
        {"name": "Zed", "price": "2.00", "stock": 7, "sku": "Z", "description": "Last"},
        {"name": "Bare", "price": 3},
        {"name": "Twice", "price": "4.00", "sku": "A"},
        {"name": "Of another owner", "price": "5.00", "sku": "B"},
        {"name": "Twice", "price": "6.00", "sku": "A"},
        {"name": "Bare", "price": 3, "sku": None, "description": None},
        {"name": "Of a deleted item", "price": "7.00", "sku": "C"},
        {"name": "Twice", "price": "8.00", "sku": "D"},
    ]
    answer = api.json("POST", "/items/import", 200, owner, body={"items": rows})
    check_keys(answer, {"created", "rejected"}, "POST /items/import")
    expect_equal(
        answer["rejected"],
        [{"index": i, "sku": rows[i]["sku"], "reason": "exists"} for i in (0, 5, 8)],
    )
    for row in answer["created"]:
        check_keys(row, {"index", "id"}, "created row of an import")
    expect_equal([row["index"] for row in answer["created"]], [1, 2, 3, 4, 6, 7])
    for row in answer["created"]:
        item, sent = api.item(row["id"]), rows[row["index"]]
        check_keys(item, ITEM, "imported item")
        check_moments(item)
        given = {"description": None, "sku": None, "stock": 0, **sent, "owner_id": owner.id}
        given["price"] = f"{Decimal(sent['price']):.2f}"
        expect_equal({**item, **given}, item)
        api.call("PATCH", f"/items/{row['id']}", 200, user=owner, body={"stock": 1})
    expected = {there["id"], *ids(answer["created"])}
    expect_equal(set(ids(list(api.walk("/items", owner_id=owner.id)))), expected)
    expect_equal(api.item(there["id"]), there)
    api.call("POST", f"/items/{deleted}/restore", 409, user=owner)

    again = api.json("POST", "/items/import", 200, owner, body={"items": rows[3:6]})
    expect_equal(again["created"], [])
    expect_equal([row["index"] for row in again["rejected"]], [0, 1, 2])
    expect_equal(set(ids(list(api.walk("/items", owner_id=owner.id)))), expected)


@topic
def item_import_bounds(api: Api) -> None:
    owner = api.register("import")
    row = {"name": "A thing", "price": "1.00", "sku": "A"}
    api.call("POST", "/items/import", 401, body={"items": [row]})
    refused: list[Any] = [{}, {"items": []}, {"items": None}, {"items": row}, {"items": [None]}]
    refused += [{"items": [{**row, "sku": None}] * 101}, {"items": [[row]]}, [row]]
    refused += [{"items": [row], field: 1} for field in ("id", "owner_id", "rejected", "unknown")]
    for wrong in item_refusals():
        refused += [{"items": [{**row, **wrong}]}, {"items": [row, {**row, **wrong}]}]
    for field in ("name", "price"):
        refused += [{"items": [row, without(row, field)]}, {"items": [{**row, field: None}, row]}]
    for body in refused:
        api.call("POST", "/items/import", 422, user=owner, body=body)
    expect_equal(list(api.walk("/items", owner_id=owner.id)), [])
    many = [{"name": "A thing", "price": "1.00", "sku": f"{99 - n:02}"} for n in range(100)]
    answer = api.json("POST", "/items/import", 200, owner, body={"items": many})
    expect_equal([row["index"] for row in answer["created"]], list(range(100)))
    skus = {item["id"]: item["sku"] for item in api.walk("/items", owner_id=owner.id)}
    expect_equal([skus[number] for number in ids(answer["created"])], [row["sku"] for row in many])


@topic
def item_partial_update(api: Api) -> None:
    owner = api.register("partial")
    item = api.make_item(owner, description="Kept")
    path = f"/items/{item['id']}"
    for change in ({"name": "New"}, {"price": "0.01"}, {"stock": 0}, {"description": "Said"}):
        item = {**item, **change}
        changed = api.json("PATCH", path, 200, owner, body=change)
        expect_equal(without(api.item(item["id"]), "updated_at"), without(item, "updated_at"))
        assert check_moment(changed["updated_at"]) >= check_moment(item["updated_at"]), changed
    item = api.item(item["id"])
    for field in ("name", "price", "stock"):
        api.call("PATCH", path, 422, user=owner, body={field: None})
        api.call("PATCH", path, 422, user=owner, body={"description": "Lost", field: None})
    expect_equal(api.item(item["id"]), item)


@topic
def item_bounds(api: Api) -> None:
    owner = api.register("bounds")
    least = api.make_item(owner, name="n", description=None, price="0", stock=0)
    assert (least["price"], least["description"]) == ("0.00", None), least
    texts = {"name": "é" * 200, "description": "é" * 1000}
    most = api.make_item(owner, **texts, price="99999999.99", stock=INT32)
    assert (most["price"], most["stock"]) == ("99999999.99", INT32), most
    assert {key: most[key] for key in texts} == texts, most
    bare = api.json("POST", "/items", 201, owner, body={"name": "Bare", "price": 10})
    assert (bare["price"], bare["stock"], bare["description"]) == ("10.00", 0, None), bare
    for item in (least, most, bare):
        expect_equal(api.item(item["id"]), item)
    expect_equal(api.make_item(owner, price=19.99)["price"], "19.99")
    path = f"/items/{least['id']}"
    for wrong in item_refusals():
        body = {"name": "A thing", "price": "1.00", **wrong}
        api.call("POST", "/items", 422, user=owner, body=body)
        api.call("PATCH", path, 422, user=owner, body=wrong)
    for field in ("name", "price"):
        body = {"name": "A thing", "price": "1.00"}
        api.call("POST", "/items", 422, user=owner, body=without(body, field))
        api.call("POST", "/items", 422, user=owner, body={**body, field: None})
    for number in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1e400", b"1E+99"):
        raw = b'{"name": "A thing", "price": %b}' % number
        api.call("POST", "/items", 422, user=owner, body=raw)
        api.call("PATCH", path, 422, user=owner, body=b'{"price": %b}' % number)
    expect_equal(api.item(least["id"]), least)
    api.call("POST", "/items", 401, body={"name": "A thing", "price": "1.00"})


def item_refusals() -> list[Json]:
    prices = ["1.005", "0.001", 1.005, -1, "-0.01", "100000000", 100000000, "99999999.995"]
    prices += ["NaN", "sNaN", "Infinity", "-Infinity", "1e999", "1e999999999", "ten", "", [], {}]
    stocks = [-1, INT32 + 1, INT64 + 1, -INT64 - 2, 1.5, "many", []]
    skus: list[Any] = ["", "s" * 65, 1, True, [], {}, "\0", "A\0", "\ud800"]
    return [
        *({"price": price} for price in prices),
        *({"stock": stock} for stock in stocks),
        {"name": ""},
        {"name": "n" * 201},
        {"name": 1},
        {"description": "d" * 1001},
        {"description": 1},
        *({"sku": sku} for sku in skus),
        *({field: 1} for field in ("id", "owner_id", "version", "created_at", "unknown")),
        *({"deleted_at": moment} for moment in (None, "2026-11-29T12:00:00Z")),
        {"owner": {"id": 1, "name": "Jo"}},
    ]


@topic
def item_ids(api: Api) -> None:
    user = api.register("ids")
    for wrong in NO_IDS:
        api.call("GET", f"/items/{wrong}", 422)
        api.call("PATCH", f"/items/{wrong}", 422, user=user, body={"name": "A thing"})
        api.call("DELETE", f"/items/{wrong}", 422, user=user)
    for number in UNKNOWN_IDS:
        api.call("GET", f"/items/{number}", 404)
        api.call("PATCH", f"/items/{number}", 404, user=user, body={"name": "A thing"})
        api.call("DELETE", f"/items/{number}", 404, user=user)
    api.call("GET", "/items/%00")


@topic
def item_list_keyset(api: Api) -> None:
    owner = api.register("keyset")
    prices = ("5.00", "1.00", "99999999.99")
    items = [api.make_item(owner, name=f"{n}", price=prices[n % 3]) for n in range(22)]
    expected = sorted(ids(items))
    expect_equal(ids(list(api.walk("/items", owner_id=owner.id, limit=100))), ids(items)[::-1])
    page = api.json("GET", "/items", params={"owner_id": owner.id})
    assert len(page["items"]) == 20, f"the limit is not 20 when none is given: {page}"
    assert page["next_cursor"], page
    for sort in SORTS:
        for limit in (1, 5, 11):
            walked = list(api.walk("/items", owner_id=owner.id, sort=sort, limit=limit))
            assert sorted(ids(walked)) == expected, f"{sort}, pages of {limit}: {ids(walked)}"
            check_sorted(walked, sort)
    by_id = {item["id"]: item for item in items}
    assert all(item == by_id[item["id"]] for item in walked), walked


def check_sorted(items: list[Json], sort: str) -> None:
    key = sort.removeprefix("-")
    read: Callable[[str], Any] = Decimal if key == "price" else datetime.fromisoformat
    values = [read(item[key]) for item in items]
    assert values == sorted(values, reverse=sort.startswith("-")), f"not in the order of {sort}"
    if not sort.startswith("-"):
        pairs = list(zip(values, ids(items), strict=True))
        assert pairs == sorted(pairs), f"{sort}: ties are not broken by id: {pairs}"


@topic
def item_list_while_it_changes(api: Api) -> None:
    owner = api.register("changing")
    items = [api.make_item(owner) for _ in range(6)]
    params: Json = {"owner_id": owner.id, "limit": 2}
    page = api.json("GET", "/items", params=params)
    first = ids(page["items"])
    api.make_item(owner, name="Later than the first page")
    api.call("DELETE", f"/items/{first[-1]}", 204, user=owner)
    rest = ids(list(api.walk("/items", **params, cursor=page["next_cursor"])))
    assert first + rest == ids(items)[::-1], f"{first} then {rest}"


@topic
def item_list_refusals(api: Api) -> None:
    refused = ["limit=0", "limit=101", "limit=-1", "limit=x", f"limit={INT64 + 1}"]
    refused += [f"owner_id={wrong}" for wrong in NO_IDS]
    refused += [f"limit={number}" for number in ODD_NUMBERS]
    refused += [f"min_price={number}" for number in ("+1", "%2B1", "1_0", "%201", "1%0a", "1e1")]
    refused += ["sort=name", "sort=id", "sort=--price", "sort=price%00", "q=%00", "q=a%00b"]
    refused += [f"{side}_price={wrong}" for side in ("min", "max") for wrong in ("x", "NaN")]
    refused += ["min_price=Infinity", "max_price=1e999", "max_price=%00"]
    for query in refused:
        api.call("GET", f"/items?{query}", 422)
    tolerated = ["q=", "limit=", "q=%ff", "q=%ed%a0%80", f"q={'a' * 5000}", "sort=", "cursor="]
    tolerated += ["min_price=-1", "max_price=1e5", "min_price=5&max_price=1", "min_price=0.001"]
    tolerated += ["min_price=1e30", "max_price=-0", "limit=1&limit=2", "owner_id=1&owner_id=x"]
    for query in tolerated:
        api.call("GET", f"/items?{query}")
    for number in UNKNOWN_IDS:
        page = api.json("GET", "/items", params={"owner_id": number})
        assert page == {"items": [], "next_cursor": None}, page


@topic
def item_cursors(api: Api) -> None:
    owner = api.register("cursors")
    for _ in range(3):
        api.make_item(owner)
    for sort in SORTS:
        params: Json = {"owner_id": owner.id, "limit": 1, "sort": sort}
        cursor = api.json("GET", "/items", params=params)["next_cursor"]
        assert isinstance(cursor, str), cursor
        api.call("GET", "/items", 200, params={**params, "cursor": cursor})
        for other in SORTS:
            if other != sort:
                api.call("GET", "/items", 422, params={**params, "sort": other, "cursor": cursor})
        broken = [cursor[:length] for length in range(1, len(cursor.rstrip("=")))]
        broken += ["nonsense", "é", "\0", "!!!!", "AAAA", "e30", "bnVsbA", "W10", "A" * 5000]
        broken += [f"{cursor}\0", f"{cursor}!", f"!{cursor}", cursor[::-1]]
        for wrong in broken:
            api.call("GET", "/items", 422, params={**params, "cursor": wrong})
        for forged in forged_cursors(cursor):
            api.call("GET", "/items", params={**params, "cursor": forged})


def forged_cursors(cursor: str) -> Iterator[str]:
    """Yield cursors that look valid, with values that no row has."""
    for place in range(0, len(cursor), 3):
        other = "A" if cursor[place] != "A" else "B"
        yield cursor[:place] + other + cursor[place + 1 :]
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return
    for wrong in ("9" * 20, "9" * 400, "0", "-1", "null", "NaN", "1e999", "\0", "{}"):
        changed = {re.sub(r"\d+", wrong, text, count=1), re.sub(r"\d+(?=\D*$)", wrong, text)}
        for forged in changed:
            yield base64.urlsafe_b64encode(forged.encode()).decode().rstrip("=")


@topic
def item_filters_and_search(api: Api) -> None:
    seller, other = api.register("seller"), api.register("other")
    word = unique()
    named: Json = {
        name: api.make_item(seller, name=f"{word}{name}", price=price)["id"]
        for name, price in {
            " 100% Wool": "1.00",
            " 100 wool": "2.00",
            "_low": "2.00",
            "xlow": "3.00",
            "\\back": "4.00",
        }.items()
    }
    told = api.make_item(other, description=f"Tells of {word}%", price="2.00")["id"]

    def found(**params: Any) -> set[int]:
        params.setdefault("q", word)
        return {item["id"] for item in api.walk("/items", **params)}

    expect_equal(found(), {*named.values(), told})
    expect_equal(found(q=word.upper()), {*named.values(), told})
    expect_equal(found(q=f"{word.title()} 100"), {named[" 100% Wool"], named[" 100 wool"]})
    expect_equal(found(q=f"{word} 100% wOOL"), {named[" 100% Wool"]})
    expect_equal(found(q=f"{word}%"), {told})
    expect_equal(found(q=f"{word}_"), {named["_low"]})
    expect_equal(found(q=f"{word}\\"), {named["\\back"]})
    expect_equal(found(q=f"{word}\\_"), set())
    expect_equal(found(q=f"%{word}"), set())
    expect_equal(found(owner_id=other.id), {told})
    expect_equal(
        found(min_price="2.00", owner_id=seller.id), set(named.values()) - {named[" 100% Wool"]}
    )
    expect_equal(found(max_price="2", owner_id=other.id), {told})
    expect_equal(
        found(min_price="2.00", max_price="2.00"), {named[" 100 wool"], named["_low"], told}
    )
    expect_equal(found(min_price="2.01", max_price="2.99"), set())
    expect_equal(found(sort="price", limit=2, min_price="3"), {named["xlow"], named["\\back"]})


@topic
def item_search_beyond_ascii(api: Api) -> None:
    owner = api.register("letters")
    word = unique()
    item = api.make_item(owner, name=f"{word} Éclair ЖУК ÅNGSTRÖM", description=f"{word} šéf")
    for letters in ("Éclair", "éclair", "жук", "Ångström", "ŠÉF"):
        page = api.json("GET", "/items", params={"q": letters, "owner_id": owner.id})
        assert ids(page["items"]) == [item["id"]], f"q={letters!r} in any case: {page}"
    # Texts match when their letters in lower case do. A letter has one lower case, independent of
    # its neighbours.
    api.call("DELETE", f"/items/{item['id']}", 204, user=owner)
    for name, found, not_found in LETTERS:
        item = api.make_item(owner, name=name)
        for texts, expected in ((found, [item["id"]]), (not_found, [])):
            for letters in texts.split():
                page = api.json("GET", "/items", params={"q": letters, "owner_id": owner.id})
                expect_equal((name, letters, ids(page["items"])), (name, letters, expected))
        api.call("DELETE", f"/items/{item['id']}", 204, user=owner)


@topic
def optimistic_locking(api: Api) -> None:
    owner = api.register("locking")
    item = api.make_item(owner)
    path = f"/items/{item['id']}"

    def patch(status: int, if_match: str, name: str) -> httpx.Response:
        headers = {"If-Match": if_match}
        return api.call("PATCH", path, status, user=owner, body={"name": name}, headers=headers)

    first = api.etag(item["id"])
    patch(412, '"nonsense"', "Lost")
    assert api.etag(item["id"]) == first, "a refused PATCH changed the ETag"
    answer = patch(200, first, "One")
    second = api.etag(item["id"])
    assert second != first, "a PATCH did not change the ETag"
    assert answer.headers.get("etag", second) == second, show(answer)
    patch(412, first, "Lost")
    patch(412, '"nonsense", "another"', "Lost")
    patch(412, f"W/{second}", "Lost")
    patch(412, second.strip('"'), "Lost")
    patch(412, f"{second[:-1]},", "Lost")
    patch(200, "*", "Two")
    patch(200, f'"nonsense", {api.etag(item["id"])}', "Three")
    expect_equal(api.item(item["id"])["name"], "Three")
    lines = [("If-Match", '"nonsense"'), ("If-Match", f'"another" , {api.etag(item["id"])},')]
    api.call("PATCH", path, 200, user=owner, body={"name": "Three"}, headers=lines)
    before = api.etag(item["id"])
    api.call("PATCH", path, 200, user=owner, body={"name": "Four"})
    assert api.etag(item["id"]) != before, "a PATCH without If-Match did not change the ETag"
    for if_match in (first, before, '"nonsense"'):
        api.call("DELETE", path, 412, user=owner, headers={"If-Match": if_match})
    for hostile in (b"nonsense", b'"', b"\xff", b"W/", b'"' + b"9" * 5000 + b'"', b",,,", b""):
        raw = [(b"If-Match", hostile)]
        api.call("PATCH", path, user=owner, body={"name": "Five"}, headers=raw)
    headers = {"If-Match": api.etag(item["id"])}
    api.call("DELETE", path, 204, user=owner, headers=headers)


@topic
def a_sale_changes_the_etag(api: Api) -> None:
    """A PATCH of stock that was read before a sale must not undo the sale."""
    owner, buyer = api.register("seller"), api.register("buyer")
    item = api.make_item(owner, stock=5)
    stale = api.etag(item["id"])
    api.make_order(buyer, (item["id"], 2))
    assert api.etag(item["id"]) != stale, "the stock is another one under the same strong ETag"
    path, headers = f"/items/{item['id']}", {"If-Match": stale}
    api.call("PATCH", path, 412, user=owner, body={"stock": 5}, headers=headers)
    expect_equal(api.stock(item["id"]), 3)


@topic
def transfer(api: Api) -> None:
    owner, heir, gone = api.register("owner"), api.register("heir"), api.register("gone")
    api.call("DELETE", "/users/me", 204, user=gone)
    item = api.make_item(owner)
    path = f"/items/{item['id']}/transfer"
    etag = api.etag(item["id"])
    api.call("POST", path, 401, body={"to_user_id": heir.id})
    api.call("POST", path, 403, user=heir, body={"to_user_id": heir.id})
    bodies: list[Json] = [{}, {"to_user_id": heir.id, "price": "0.00"}]
    bodies += [{"to_user_id": wrong} for wrong in (gone.id, *UNKNOWN_IDS, 0, -1, INT64 + 1, None)]
    for body in bodies:
        api.call("POST", path, 422, user=owner, body=body)
    expect_equal(api.item(item["id"]), item)
    for number in UNKNOWN_IDS:
        api.call("POST", f"/items/{number}/transfer", 404, user=owner, body={"to_user_id": heir.id})
    for wrong in NO_IDS:
        api.call("POST", f"/items/{wrong}/transfer", 422, user=owner, body={"to_user_id": heir.id})
    for if_match in ('"nonsense"', f"W/{etag}", etag.strip('"'), ""):
        headers = {"If-Match": if_match}
        body = {"to_user_id": heir.id}
        api.call("POST", path, 412, user=owner, body=body, headers=headers)
    expect_equal(api.item(item["id"]), item)
    headers = {"If-Match": f'"nonsense", {etag}'}
    given = api.json("POST", path, 200, owner, body={"to_user_id": heir.id}, headers=headers)
    check_keys(given, ITEM, "POST /items/{id}/transfer")
    assert given == {**item, "owner_id": heir.id, "updated_at": given["updated_at"]}, given
    read = api.json("GET", f"/items/{item['id']}")
    assert read == {**given, "owner": {"id": heir.id, "name": heir.body["name"]}}, read
    assert api.etag(item["id"]) != etag, "a transfer did not change the ETag"
    api.call("PATCH", f"/items/{item['id']}", 403, user=owner, body={"name": "Mine"})
    api.call("POST", path, 403, user=owner, body={"to_user_id": owner.id})
    api.call("PATCH", f"/items/{item['id']}", 200, user=heir, body={"name": "Mine"})


# Orders --------------------------------------------------------------------------------


@topic
def orders(api: Api) -> None:
    seller, buyer = api.register("seller"), api.register("buyer")
    one = api.make_item(seller, price="0.10", stock=100)["id"]
    two = api.make_item(seller, price="99999999.99", stock=3000)["id"]
    order = api.make_order(buyer, (two, 1000), (one, 3), (one, 8))
    check_order(order, {*ORDER, "rejected"})
    assert (order["status"], order["rejected"]) == ("pending", []), order
    lines = {line["item_id"]: line for line in order["lines"]}
    assert len(lines) == len(order["lines"]) == 2, f"an item named twice is one line: {order}"
    assert lines[one] == {"item_id": one, "quantity": 11, "unit_price": "0.10"}, order
    assert lines[two] == {"item_id": two, "quantity": 1000, "unit_price": "99999999.99"}, order
    assert order["total"] == "99999999991.10", order
    expect_equal((api.stock(one), api.stock(two)), (89, 2000))
    path = f"/orders/{order['id']}"
    expect_equal(api.json("GET", path, 200, buyer), without(order, "rejected"))
    api.call("PATCH", f"/items/{one}", 200, user=seller, body={"price": "7.77"})
    expect_equal(api.json("GET", path, 200, buyer), without(order, "rejected"))
    api.call("GET", path, 401)
    api.call("GET", path, 404, user=seller)
    api.call("PATCH", path, 401, body={"status": "processing"})
    api.call("PATCH", path, 404, user=seller, body={"status": "processing"})
    for number in UNKNOWN_IDS:
        api.call("GET", f"/orders/{number}", 404, user=buyer)
        api.call("PATCH", f"/orders/{number}", 404, user=buyer, body={"status": "cancelled"})
    for wrong in NO_IDS:
        api.call("GET", f"/orders/{wrong}", 422, user=buyer)
        api.call("PATCH", f"/orders/{wrong}", 422, user=buyer, body={"status": "cancelled"})
    expect_equal(api.stock(one), 89)


@topic
def orders_keep_deleted_items(api: Api) -> None:
    seller, buyer = api.register("seller"), api.register("buyer")
    one, two = (api.make_item(seller, price="1.50", stock=10)["id"] for _ in range(2))
    made = [without(api.make_order(buyer, (one, 3), (two, 1)), "rejected") for _ in range(2)]
    summed = api.json("GET", "/orders/summary", 200, buyer)
    api.call("DELETE", f"/items/{one}", 204, user=seller)
    expect_gone(api, one, seller)
    for order in made:
        expect_equal(api.json("GET", f"/orders/{order['id']}", 200, buyer), order)
    expect_equal(list(api.walk("/orders", buyer)), made[::-1])
    expect_equal(api.json("GET", "/orders/summary", 200, buyer), summed)
    api.call("POST", "/orders", 409, user=buyer, body=order_body((one, 1)))
    order = api.make_order(buyer, (one, 1), (two, 1))
    expect_equal(order["rejected"], [{"item_id": one, "reason": "not_found"}])

    # What an order gives back is there when the item is restored.
    cancelled = f"/orders/{made[0]['id']}"
    api.call("PATCH", cancelled, 200, user=buyer, body={"status": "cancelled"})
    shipped = f"/orders/{made[1]['id']}"
    for status in ("processing", "shipped"):
        moved = api.json("PATCH", shipped, 200, buyer, body={"status": status})
        expect_equal(moved["lines"], made[1]["lines"])
    api.call("GET", f"/items/{one}", 404)
    restored = api.json("POST", f"/items/{one}/restore", 200, seller)
    expect_equal((restored["stock"], api.stock(one), api.stock(two)), (7, 7, 8))


@topic
def order_rejections(api: Api) -> None:
    seller, buyer = api.register("seller"), api.register("buyer")
    good = api.make_item(seller, price="1.50", stock=2)["id"]
    scarce = api.make_item(seller, stock=4)["id"]
    empty = api.make_item(seller, stock=0)["id"]
    unknown = INT64
    for lines in ([(unknown, 1)], [(empty, 1)], [(scarce, 5)], [(scarce, 2), (scarce, 3)]):
        api.call("POST", "/orders", 409, user=buyer, body=order_body(*lines))
    many = [(INT64 - number, 1) for number in range(100)]
    api.call("POST", "/orders", 409, user=buyer, body=order_body(*many))
    expect_equal(api.json("GET", "/orders", 200, buyer), {"items": [], "next_cursor": None})
    expect_equal(api.json("GET", "/orders/summary", 200, buyer), [])
    expect_equal((api.stock(scarce), api.stock(empty)), (4, 0))
    order = api.make_order(buyer, (unknown, 1), (scarce, 2), (good, 2), (empty, 1), (scarce, 3))
    check_order(order, {*ORDER, "rejected"})
    assert order["lines"] == [{"item_id": good, "quantity": 2, "unit_price": "1.50"}], order
    assert order["total"] == "3.00", order
    for line in order["rejected"]:
        check_keys(line, {"item_id", "reason"}, "rejected line")
    reasons = {line["item_id"]: line["reason"] for line in order["rejected"]}
    assert len(order["rejected"]) == 3, f"an item named twice is one line: {order}"
    expected = {unknown: "not_found", empty: "out_of_stock", scarce: "out_of_stock"}
    assert reasons == expected, order
    expect_equal(api.json("GET", f"/orders/{order['id']}", 200, buyer), without(order, "rejected"))
    expect_equal([api.stock(item) for item in (good, scarce, empty)], [0, 4, 0])
    api.call("DELETE", f"/items/{scarce}", 204, user=seller)


@topic
def order_bounds(api: Api) -> None:
    seller, buyer = api.register("seller"), api.register("buyer")
    item = api.make_item(seller, stock=5000)["id"]
    api.call("POST", "/orders", 401, body=order_body((item, 1)))
    line = {"item_id": item, "quantity": 1}
    refused: list[Any] = [{}, {"lines": []}, {"lines": None}, {"lines": line}, {"lines": [None]}]
    refused += [{"lines": [line] * 101}, {"lines": [[item, 1]]}]
    refused += [{"lines": [{**line, "quantity": wrong}]} for wrong in (0, -1, 1001, INT64 + 1, 1.5)]
    refused += [{"lines": [{**line, "item_id": wrong}]} for wrong in (0, -1, INT64 + 1, "x")]
    refused += [{"lines": [without(line, field)]} for field in line]
    refused += [{"lines": [{**line, field: None}]} for field in line]
    refused += [{"lines": [{**line, field: 1}]} for field in ("unit_price", "order_id", "id")]
    refused += [{"lines": [line], field: 1} for field in ("id", "status", "total", "buyer_id")]
    refused += [{"lines": [line, {**line, "quantity": 0}]}]
    for body in refused:
        api.call("POST", "/orders", 422, user=buyer, body=body)
    expect_equal(api.stock(item), 5000)
    expect_equal(api.json("GET", "/orders", 200, buyer)["items"], [])
    api.make_order(buyer, *[(item, 1)] * 100)
    api.make_order(buyer, (item, 1000))
    expect_equal(api.stock(item), 3900)
    api.call("POST", "/orders", user=buyer, body=order_body((item, 1000), (item, 1000)))


@topic
def order_with_a_key(api: Api) -> None:
    """A repeated request gets the same answer, and places no second order."""
    seller, buyer, other = api.register("seller"), api.register("buyer"), api.register("other")
    item, sold_out = api.make_item(seller, stock=10)["id"], api.make_item(seller, stock=0)["id"]
    body = order_body((item, 2), (sold_out, 1))

    def place(key: str, status: int, body: Json, user: User = buyer) -> httpx.Response:
        headers = {"Idempotency-Key": key}
        return api.call("POST", "/orders", status, user=user, body=body, headers=headers)

    key = unique()
    first = place(key, 201, body)
    check_order(first.json(), ORDER | {"rejected"})
    path = f"/orders/{first.json()['id']}"
    for again in (place(key, 201, body), place(key, 201, body)):
        check_same_answer(again, first)
    # The answer of then, also after the order and the stock have changed.
    api.call("PATCH", path, 200, user=buyer, body={"status": "cancelled"})
    api.call("PATCH", f"/items/{item}", 200, user=seller, body={"stock": 0})
    check_same_answer(place(key, 201, body), first)
    assert api.json("GET", path, 200, buyer)["status"] == "cancelled"
    expect_equal(len(list(api.walk("/orders", buyer))), 1)

    # Another body, or no key, is another request; another user has keys of their own.
    place(key, 422, order_body((item, 1)))
    api.call("PATCH", f"/items/{item}", 200, user=seller, body={"stock": 10})
    expect_equal(len(list(api.walk("/orders", buyer))), 1)
    assert place(key, 201, order_body((item, 1)), other).json()["id"] != first.json()["id"]
    assert api.make_order(buyer, (item, 1))["id"] != first.json()["id"]

    # A refused request leaves its key free.
    key = f'"{unique()}"'
    place(key, 409, order_body((sold_out, 1)))
    place(key, 422, order_body((item, 0)))
    place(key, 201, order_body((item, 1)))
    for wrong in ("", "k" * 256, "caf\u00e9", "tab\ttab"):
        headers = {b"Idempotency-Key": wrong.encode()}
        api.call("POST", "/orders", 422, user=buyer, body=body, headers=headers)
    two = [("Idempotency-Key", unique()), ("Idempotency-Key", unique())]
    api.call("POST", "/orders", 422, user=buyer, body=body, headers=two)
    place("k" * 255, 201, order_body((item, 1)))


def check_same_answer(found: httpx.Response, expected: httpx.Response) -> None:
    """Compare what the operation answered; each response has a date and a request id of its own."""

    def answer(response: httpx.Response) -> tuple[int, bytes, Json]:
        own = {"date", "x-request-id"}
        headers = {name: value for name, value in response.headers.items() if name not in own}
        return response.status_code, response.content, headers

    expect_equal(answer(found), answer(expected))


@topic
def order_list(api: Api) -> None:
    seller, buyer = api.register("seller"), api.register("buyer")
    item = api.make_item(seller, stock=10)["id"]
    made = [without(api.make_order(buyer, (item, 1)), "rejected") for _ in range(5)]
    api.make_order(seller, (item, 1))
    for limit in (1, 2, 5, 100):
        walked = list(api.walk("/orders", buyer, limit=limit))
        assert walked == made[::-1], f"not newest first, in pages of {limit}: {walked}"
    page = api.json("GET", "/orders", 200, buyer, params={"limit": 2})
    for query in ("limit=0", "limit=-1", "limit=x", f"limit={INT64 + 1}", "cursor=nonsense"):
        api.call("GET", f"/orders?{query}", 422, user=buyer)
    cursor = page["next_cursor"]
    for wrong in (cursor[: len(cursor) // 2], cursor[::-1], "\0", f"{cursor}\0"):
        api.call("GET", "/orders", 422, user=buyer, params={"cursor": wrong})
    for forged in forged_cursors(cursor):
        api.call("GET", "/orders", user=buyer, params={"cursor": forged})
    foreign = api.call("GET", "/orders", user=seller, params={"cursor": cursor}).json()
    assert not set(ids(foreign.get("items", []))) & set(ids(made)), f"another's orders: {foreign}"
    api.call("GET", "/orders", 401)


@topic
def order_status(api: Api) -> None:
    seller, buyer = api.register("seller"), api.register("buyer")
    item = api.make_item(seller, stock=100)["id"]
    for status, way in STATUS_PATH.items():
        order = api.make_order(buyer, (item, 2))
        path = f"/orders/{order['id']}"
        for step in way:
            moved = api.json("PATCH", path, 200, buyer, body={"status": step})
            check_order(without(moved, "rejected"), ORDER)
            assert moved["status"] == step, moved
        before = api.json("GET", path, 200, buyer)
        assert before["status"] == status, before
        for target in NEXT_STATUSES.keys() - NEXT_STATUSES[status]:
            api.call("PATCH", path, 409, user=buyer, body={"status": target})
        refused: list[Json] = [{}, {"status": None}, {"status": "lost"}, {"status": "PENDING"}]
        refused += [{"status": ""}, {"status": 1}, {"status": "cancelled", "total": "0.00"}]
        for body in refused:
            api.call("PATCH", path, 422, user=buyer, body=body)
        expect_equal(api.json("GET", path, 200, buyer), before)
    expect_equal(api.stock(item), 100 - 2 * 4)


@topic
def order_cancellation(api: Api) -> None:
    seller, buyer = api.register("seller"), api.register("buyer")
    one, two = (api.make_item(seller, stock=10)["id"] for _ in range(2))
    for way in (("cancelled",), ("processing", "cancelled")):
        order = api.make_order(buyer, (one, 3), (two, 10), (one, 1))
        expect_equal((api.stock(one), api.stock(two)), (6, 0))
        for step in way:
            api.call("PATCH", f"/orders/{order['id']}", 200, user=buyer, body={"status": step})
        expect_equal((api.stock(one), api.stock(two)), (10, 10))
    order = api.make_order(buyer, (one, 1))
    api.call("PATCH", f"/items/{one}", 200, user=seller, body={"stock": INT32})
    api.call("PATCH", f"/orders/{order['id']}", user=buyer, body={"status": "cancelled"})


@topic
def summary(api: Api) -> None:
    seller, buyer = api.register("seller"), api.register("buyer")
    item = api.make_item(seller, price="99999999.99", stock=INT32)["id"]
    expect_equal(api.json("GET", "/orders/summary", 200, buyer), [])
    made = [api.make_order(buyer, (item, 1000)) for _ in range(4)]
    path = f"/orders/{made[0]['id']}"
    api.call("PATCH", path, 200, user=buyer, body={"status": "cancelled"})
    api.make_order(seller, (item, 1))

    def summed(**params: Any) -> dict[str, tuple[int, str]]:
        rows = api.json("GET", "/orders/summary", 200, buyer, params=params)
        for row in rows:
            check_keys(row, {"status", "count", "total"}, "GET /orders/summary")
            check_money(row["total"])
        assert len({row["status"] for row in rows}) == len(rows), rows
        return {row["status"]: (row["count"], row["total"]) for row in rows}

    pending, cancelled = (3, "299999999970.00"), (1, "99999999990.00")
    expect_equal(summed(), {"pending": pending, "cancelled": cancelled})
    expect_equal(summed(min_count=1), {"pending": pending, "cancelled": cancelled})
    expect_equal(summed(min_count=2), {"pending": pending})
    expect_equal(summed(min_count=3), {"pending": pending})
    expect_equal(summed(min_count=4), {})
    api.call("GET", "/orders/summary?min_count=x", 422, user=buyer)
    for tolerated in ("-1", "0", str(INT32 + 1), str(INT64), str(INT64 + 1)):
        api.call("GET", f"/orders/summary?min_count={tolerated}", user=buyer)
    api.call("GET", "/orders/summary", 401)


# Edges ---------------------------------------------------------------------------------


@topic
def health(api: Api) -> None:
    for path in ("/health/live", "/health/ready"):
        api.call("GET", path, 200)
        check_allow(api.call("POST", path, 405), {"GET"})


def check_allow(response: httpx.Response, methods: set[str]) -> None:
    allowed = {method.strip() for method in response.headers["allow"].split(",")}
    head = {"HEAD"} if "GET" in methods else set[str]()
    assert allowed - {"OPTIONS"} == methods | head, show(response)


@topic
def head_is_get_without_a_body(api: Api) -> None:
    user = api.register("head")
    item = api.make_item(user)["id"]
    paths = ["/health/live", "/health/ready", "/openapi.json", "/docs", "/items", f"/items/{item}"]
    paths += ["/users/me", f"/users/{user.id}", "/orders", "/orders/summary"]
    paths += ["/nothing", "/items/0", "/users", "/users/me/profile", f"/items/{INT64}"]
    for path in paths:
        get, head = (api.call(method, path, user=user) for method in ("GET", "HEAD"))
        assert head.content == b"", show(head)
        assert head.status_code == get.status_code, f"{show(get)}\n{show(head)}"
        for response in (get, head):
            del response.headers["x-request-id"], response.headers["date"]
        assert head.headers == get.headers, f"{show(get)}\n{show(head)}"
    check_allow(api.call("HEAD", "/auth/token", 405), {"POST"})


@topic
def errors_are_problems(api: Api) -> None:
    for path in ("/nothing", "/items/1/nothing", "/users/me/nothing", "/%00", "/é"):
        api.call("GET", path, 404)
        api.call("POST", path, 404, body={})
    wrong_methods: list[tuple[str, str, set[str]]] = [
        ("PUT", "/users", {"GET", "POST"}),
        ("DELETE", "/users", {"GET", "POST"}),
        ("POST", "/users/me", {"GET", "PATCH", "DELETE"}),
        ("PUT", "/users/me", {"GET", "PATCH", "DELETE"}),
        ("PATCH", "/users/me/profile", {"GET", "PUT"}),
        ("DELETE", "/users/1", {"GET", "PATCH"}),
        ("GET", "/auth/token", {"POST"}),
        ("DELETE", "/items", {"GET", "POST"}),
        ("POST", "/items/1", {"GET", "PATCH", "DELETE"}),
        ("GET", "/items/1/transfer", {"POST"}),
        ("GET", "/items/1/restore", {"POST"}),
        *((method, "/items/import", {"POST"}) for method in ("GET", "PUT", "PATCH", "DELETE")),
        ("PATCH", "/orders", {"GET", "POST"}),
        ("DELETE", "/orders/1", {"GET", "PATCH"}),
    ]
    for method, path, methods in wrong_methods:
        check_allow(api.call(method, path, 405), methods)
    for method in ("HEAD", "OPTIONS", "TRACE"):
        for path in ("/items", "/items/1", "/users", "/nothing"):
            api.call(method, path)


@topic
def errors_do_not_echo(api: Api) -> None:
    user = api.register("echo")
    secret = f"SECRET{unique()}"
    sent = registrant("echo")
    item = f"/items/{api.make_item(user)['id']}"
    refused = [
        api.call("POST", "/users", 422, body={**sent, "password": secret * 10}),
        api.call("POST", "/users", 422, body={**sent, "email": secret}),
        api.call("POST", "/users", 422, body={**sent, "name": secret * 10}),
        api.call("POST", "/users", 422, body={**sent, "unknown": secret}),
        api.call("POST", "/users", 422, body=json.dumps({"password": secret})[:-1].encode()),
        api.call("POST", "/users", 422, body=[secret]),
        api.call("POST", "/auth/token", 422, data={"password": secret}),
        api.call("PATCH", item, 422, user=user, body={"price": secret}),
        api.call("PATCH", item, 422, user=user, body={"stock": secret}),
        api.call("POST", f"{item}/transfer", 422, user=user, body={"to_user_id": secret}),
        api.call("GET", f"/items/{secret}", 422),
        api.call("GET", f"/items?limit={secret}", 422),
        api.call("GET", f"/items?sort={secret}", 422),
        api.call("GET", f"/items?cursor={secret}", 422),
        api.call("GET", f"/items?q={secret}%00", 422),
    ]
    for response in refused:
        assert secret not in response.text, f"the input is echoed: {show(response)}"


def json_operations(api: Api, user: User) -> list[tuple[str, str, Json]]:
    """Return every operation that takes JSON, with a valid body."""
    item = api.make_item(user)["id"]
    order = api.make_order(api.register("buyer"), (item, 1))["id"]
    return [
        ("POST", "/users", registrant("hostile")),
        ("PATCH", "/users/me", {"name": "Changed", "current_password": user.password}),
        ("PUT", "/users/me/profile", {"bio": "Changed", "avatar_url": None}),
        ("POST", "/items", {"name": "Changed", "price": "1.00"}),
        ("POST", "/items/import", {"items": [{"name": "Changed", "price": "1.00"}]}),
        ("PATCH", f"/items/{item}", {"name": "Changed"}),
        ("POST", f"/items/{item}/transfer", {"to_user_id": user.id}),
        ("POST", "/orders", order_body((item, 1))),
        ("PATCH", f"/orders/{order}", {"status": "processing"}),
    ]


@topic
def malformed_bodies(api: Api) -> None:
    user = api.register("malformed")
    deep = b"[" * 5000 + b"]" * 5000
    bodies = [b"", b" ", b"{", b"}", b"nul", b"{'name': 'x'}", b'{"name": "x",}', b'{"name": "x']
    bodies += [b"\xff\xfe", b'{"name": "\xff"}', b'{"name": "\xed\xa0\x80"}', b'"\xc3', b"\0"]
    bodies += [b"null", b"[]", b"1", b'"text"', b"true", b"NaN", b"[{}]", b"9" * 5000]
    bodies += [deep, b'{"name": %b}' % deep, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"[" * 60_000]
    for method, path, valid in json_operations(api, user):
        for body in bodies:
            api.call(method, path, 422, user=user, body=body)
        for field in valid:
            for value in (deep, b"9" * 5000, b"-" + b"9" * 5000, b"\xff"):
                body = b'{"%b": %b}' % (field.encode(), value)
                api.call(method, path, 422, user=user, body=body)
        tolerated: list[Json] = [
            {"headers": {"Content-Type": "text/plain"}, "content": json.dumps(valid).encode()},
            {"headers": {"Content-Type": "application/json; charset=x"}, "content": b"{"},
            {"body": json.dumps(valid).encode("utf-16")[:-1]},
        ]
        if method != "POST":  # which would create a row
            for request in tolerated:
                api.call(method, path, user=user, **request)
    expect_equal(len(list(api.walk("/items", owner_id=user.id))), 1)
    expect_equal(api.json("GET", "/orders", 200, user)["items"], [])


@topic
def many_mistakes(api: Api) -> None:
    user = api.register("mistaken")
    unknown = {f"field{number}": 1 for number in range(2000)}
    for method, path, valid in json_operations(api, user):
        answer = api.call(method, path, 422, user=user, body={**valid, **unknown})
        expect_equal(len(answer.json()["errors"]), 100)
    form = {"username": user.email, "password": user.password, **unknown}
    errors = api.call("POST", "/auth/token", 422, data=form).json()["errors"]
    assert len(errors) <= 100, errors


@topic
def mass_assignment(api: Api) -> None:
    user = api.register("mass")
    api.call("GET", "/users/me/profile", 404, user=user)
    fields = ["is_admin", "owner_id", "id", "version", "created_at", "updated_at", "user_id"]
    fields += ["password_hash", "hashed_password", "__class__", "", "\ud800", "\0"]
    operations = json_operations(api, user)
    items = list(api.walk("/items", owner_id=user.id))
    for method, path, valid in operations:
        for field in fields:
            api.call(method, path, 422, user=user, body={**valid, field: 1})
    expect_equal(api.json("GET", "/users/me", 200, user), user.body)
    api.call("GET", "/users/me/profile", 404, user=user)
    expect_equal(list(api.walk("/items", owner_id=user.id)), items)
    expect_equal(api.json("GET", "/orders", 200, user)["items"], [])
    api.login(operations[0][2]["email"], operations[0][2]["password"], 401)


@topic
def hostile_input(api: Api) -> None:
    user = api.register("hostile")
    for method, path, valid in json_operations(api, user):
        for field, value in valid.items():
            if not isinstance(value, str | None) or field == "price":
                continue
            for wrong in ("\0", "\ud800", "\udc00", "\ud800\ud800", "\udc00\ud800"):
                start = value or "x"
                if field == "password":
                    start = unique()
                for text in (f"{start}{wrong}", f"{wrong}{start}"):
                    api.call(method, path, 422, user=user, body={**valid, field: text})
    description = {"name": "A thing", "price": "1.00", "description": "\0"}
    api.call("POST", "/items", 422, user=user, body=description)
    api.call("POST", "/items", 422, user=user, body={**description, "description": "\udfff"})
    expect_equal(api.json("GET", "/users/me", 200, user), user.body)
    odd = "\U0001f600 \u202e \ufeff \uffff ' \" ; -- \\ <b> {{ 7*7 }} %s %(x)s \t\n."
    item = api.make_item(user, name=odd, description=odd)
    assert (item["name"], item["description"]) == (odd, odd), item
    expect_equal(api.item(item["id"]), item)
    page = api.json("GET", "/items", params={"q": odd.upper(), "owner_id": user.id})
    assert ids(page["items"]) == [item["id"]], page
    for text in ("'; DROP TABLE items; --", "%s%s%s", "{0}", "$1", ":name", "\u202e"):
        page = api.json("GET", "/items", params={"q": f"{unique()}{text}"})
        assert page["items"] == [], page


@topic
def hostile_forms_and_headers(api: Api) -> None:
    user = api.register("forms")
    url_encoded = {"Content-Type": "application/x-www-form-urlencoded"}
    hostile = [
        ("\0", unique()),
        (user.email, "\0"),
        (user.email, "p" * 10_000),
        ("u" * 10_000, unique()),
    ]
    hostile += [("", ""), (user.email, ""), (f"{user.email}\0", user.password), ("%", unique())]
    for name, password in hostile:
        api.login(name, password, 401, 422)
    raw = [b"username=%ff&password=%ff", b"username=%ed%a0%80&password=%00", b"\xff", b"%", b"&&=&"]
    raw += [b"username=a&username=b&password=c&password=d", b"a=1&" * 5000]
    for content in raw:
        api.call("POST", "/auth/token", 401, 422, content=content, headers=url_encoded)
    for broken in ("multipart/form-data", "multipart/form-data; boundary=x"):
        headers = {"Content-Type": broken}
        api.call("POST", "/auth/token", 400, 415, 422, content=b"--y\r\n", headers=headers)
    for header in (b"X-Request-ID", b"Accept", b"Accept-Language", b"Origin", b"Cookie"):
        for value in (b"", b"\xff", b"a" * 5000, b"%00", b'";<script>'):
            api.call("GET", "/items?limit=1", 200, headers=[(header, value)])


@topic
def large_bodies(api: Api) -> None:
    user = api.register("large")
    valid = json.dumps({"name": "A thing", "price": "1.00"}).encode()
    api.call("POST", "/items", 201, user=user, body=valid.ljust(MAX_BODY))
    padded = valid.ljust(MAX_BODY + 1)
    api.call("POST", "/items", 413, user=user, body=padded)
    api.call("PATCH", "/users/me", 413, user=user, body=b'{"name": "%b"}' % (b"x" * MAX_BODY))
    api.call("POST", "/users", 413, body=json.dumps({"name": "x" * (20 * MAX_BODY)}).encode())

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(padded), 2**12):
            yield padded[start : start + 2**12]

    headers = {"Content-Type": "application/json"}
    api.call("POST", "/items", 413, user=user, content=chunks(), headers=headers)
    form = {"username": user.email, "password": "p" * MAX_BODY}
    api.call("POST", "/auth/token", 413, data=form)
    expect_equal(len(list(api.walk("/items", owner_id=user.id))), 1)


# Races ---------------------------------------------------------------------------------


@topic
def race_for_an_email(api: Api) -> None:
    sent = registrant("race")
    emails = (sent["email"], sent["email"].upper())

    def register(number: int) -> httpx.Response:
        body = {**sent, "email": emails[number % 2], "name": f"Jo {number}"}
        return api.call("POST", "/users", 201, 409, body=body)

    answers = at_once(CLIENTS, register)
    assert statuses(answers) == [201] + [409] * (CLIENTS - 1), statuses(answers)
    [created] = [answer.json() for answer in answers if answer.status_code == 201]
    token = api.login(created["email"], sent["password"]).json()["access_token"]
    me = api.json("GET", "/users/me", headers={"Authorization": f"Bearer {token}"})
    assert me == created, f"{me} is not the one that was told 201: {created}"


@topic
def race_of_guesses(api: Api) -> None:
    """Guesses that are sent at once are counted like others; right passwords are not counted."""
    user = api.register("race")
    for email in (user.email, f"{unique()}@example.com"):

        def guess(_number: int, email: str = email) -> httpx.Response:
            return api.login(email, unique(), 401, 429)

        answers = at_once(3 * FREE_GUESSES, guess)
        # Some more pass while they take their time: six, if they take half a minute.
        passed = statuses(answers).count(401)
        assert FREE_GUESSES <= passed <= FREE_GUESSES + 6, statuses(answers)

    crowd = api.register("crowd")
    logins = at_once(2 * FREE_GUESSES, lambda _: api.login(crowd.email, crowd.password))
    expect_equal(len({login.json()["token_type"] for login in logins}), 1)


@topic
def race_for_a_new_email(api: Api) -> None:
    crowd = [api.register("race") for _ in range(4)]
    email = f"wanted-{unique()}@example.com"

    def patch(number: int) -> httpx.Response:
        body = {"email": email, "current_password": crowd[number].password}
        return api.call("PATCH", "/users/me", 200, 409, user=crowd[number], body=body)

    answers = at_once(len(crowd), patch)
    assert statuses(answers) == [200, 409, 409, 409], statuses(answers)


@topic
def race_of_changes_of_a_name(api: Api) -> None:
    user = api.register("race")

    def patch(number: int) -> httpx.Response:
        body = {"name": f"Name {number}"}
        return api.call("PATCH", "/users/me", 200, 409, user=user, body=body)

    answers = at_once(CLIENTS, patch)
    written = {answer.json()["name"] for answer in answers if answer.status_code == 200}
    assert api.json("GET", "/users/me", 200, user)["name"] in written, statuses(answers)


@topic
def race_of_changes_of_a_password(api: Api) -> None:
    """Of concurrent password changes with one token, one succeeds, and its password is stored."""
    for _ in range(5):
        user = api.register("race")
        passwords = [unique() for _ in range(4)]

        def patch(
            number: int, user: User = user, passwords: list[str] = passwords
        ) -> httpx.Response:
            body = {"password": passwords[number], "current_password": user.password}
            return api.call("PATCH", "/users/me", 200, 401, 409, user=user, body=body)

        answers = at_once(len(passwords), patch)
        assert statuses(answers).count(200) == 1, statuses(answers)
        for password, answer in zip(passwords, answers, strict=True):
            api.login(user.email, password, 200 if answer.is_success else 401)
        api.call("GET", "/users/me", 401, user=user)


@topic
def race_of_an_order_and_a_deactivation(api: Api) -> None:
    """An order that is answered with 201 was placed before its buyer was deactivated."""
    seller = api.register("seller")
    item = api.make_item(seller, stock=1000)["id"]
    sold = 0
    for _ in range(5):
        buyer = api.register("buyer")

        def either(number: int, buyer: User = buyer) -> httpx.Response:
            if number:
                return api.call("DELETE", "/users/me", 204, user=buyer)
            return api.call("POST", "/orders", 201, 401, user=buyer, body=order_body((item, 1)))

        bought, _gone = at_once(2, either)
        sold += bought.is_success
    expect_equal(api.stock(item), 1000 - sold)


@topic
def race_for_a_first_profile(api: Api) -> None:
    user = api.register("race")
    bodies: list[Json] = [{"bio": f"Bio {number}", "avatar_url": None} for number in range(CLIENTS)]

    def put(number: int) -> httpx.Response:
        body = bodies[number]
        return api.call("PUT", "/users/me/profile", 200, 201, 409, user=user, body=body)

    answers = at_once(CLIENTS, put)
    stored = [body for body, answer in zip(bodies, answers, strict=True) if answer.is_success]
    kept = api.json("GET", "/users/me/profile", 200, user)
    assert kept in stored, f"{kept} was never answered with a success: {stored}"


@topic
def race_for_the_last_piece(api: Api) -> None:
    seller = api.register("seller")
    crowd = [api.register("buyer") for _ in range(2)]
    for stock, quantity in ((1, 1), (5, 2)):
        item = api.make_item(seller, stock=stock)["id"]

        def buy(number: int, lines: tuple[int, int] = (item, quantity)) -> httpx.Response:
            body = order_body(lines)
            return api.call("POST", "/orders", 201, 409, user=crowd[number % 2], body=body)

        answers = at_once(CLIENTS, buy)
        sold = stock // quantity
        assert statuses(answers) == [201] * sold + [409] * (CLIENTS - sold), statuses(answers)
        expect_equal(api.stock(item), stock % quantity)
    expect_equal(sum(len(list(api.walk("/orders", buyer))) for buyer in crowd), 3)


@topic
def race_of_orders_with_one_key(api: Api) -> None:
    """Requests that are sent at once get the same answer, though only one finds the last piece."""
    seller, buyer = api.register("seller"), api.register("buyer")
    for _ in range(3):
        item = api.make_item(seller, stock=1)["id"]
        headers = {"Idempotency-Key": unique()}

        def buy(_: int, item: int = item, headers: dict[str, str] = headers) -> httpx.Response:
            body = order_body((item, 1))
            return api.call("POST", "/orders", 201, user=buyer, body=body, headers=headers)

        answers = at_once(CLIENTS, buy)
        for answer in answers[1:]:
            check_same_answer(answer, answers[0])
        expect_equal(api.stock(item), 0)
    expect_equal(len(list(api.walk("/orders", buyer))), 3)


@topic
def race_of_crossing_orders(api: Api) -> None:
    seller, buyer = api.register("seller"), api.register("buyer")
    items: list[int] = [api.make_item(seller, stock=1000)["id"] for _ in range(4)]

    def buy(number: int) -> httpx.Response:
        turned = items[number % 4 :] + items[: number % 4]
        body = order_body(*((item, 1) for item in (turned if number % 2 else turned[::-1])))
        return api.call("POST", "/orders", 201, user=buyer, body=body)

    for _ in range(2):
        for answer in at_once(CLIENTS, buy):
            assert answer.json()["rejected"] == [], show(answer)
    expect_equal([api.stock(item) for item in items], [1000 - 2 * CLIENTS] * 4)


@topic
def race_of_patches_with_one_etag(api: Api) -> None:
    owner = api.register("owner")
    item = api.make_item(owner)["id"]
    headers = {"If-Match": api.etag(item)}

    def patch(number: int) -> httpx.Response:
        body = {"name": f"Name {number}"}
        return api.call("PATCH", f"/items/{item}", 200, 412, user=owner, body=body, headers=headers)

    answers = at_once(CLIENTS, patch)
    assert statuses(answers) == [200] + [412] * (CLIENTS - 1), statuses(answers)
    [winner] = [answer.json()["name"] for answer in answers if answer.status_code == 200]
    expect_equal(api.item(item)["name"], winner)


@topic
def race_of_patches(api: Api) -> None:
    owner = api.register("owner")
    item = api.make_item(owner)["id"]

    def patch(number: int) -> httpx.Response:
        body = {"stock": number}
        return api.call("PATCH", f"/items/{item}", 200, 409, user=owner, body=body)

    answers = at_once(CLIENTS, patch)
    written = {answer.json()["stock"] for answer in answers if answer.status_code == 200}
    assert api.stock(item) in written, statuses(answers)


@topic
def race_of_transfers(api: Api) -> None:
    owner = api.register("owner")
    heirs = [api.register("heir") for _ in range(4)]
    item = api.make_item(owner)["id"]

    def give(number: int) -> httpx.Response:
        body = {"to_user_id": heirs[number].id}
        return api.call("POST", f"/items/{item}/transfer", 200, 403, 409, user=owner, body=body)

    answers = at_once(len(heirs), give)
    given = [answer.json()["owner_id"] for answer in answers if answer.status_code == 200]
    assert given == [api.item(item)["owner_id"]], statuses(answers)


@topic
def race_of_cancellations(api: Api) -> None:
    seller, buyer = api.register("seller"), api.register("buyer")
    item = api.make_item(seller, stock=10)["id"]
    order = api.make_order(buyer, (item, 3))["id"]

    def cancel(_: int) -> httpx.Response:
        body = {"status": "cancelled"}
        return api.call("PATCH", f"/orders/{order}", 200, 409, user=buyer, body=body)

    answers = at_once(CLIENTS, cancel)
    assert statuses(answers) == [200] + [409] * (CLIENTS - 1), statuses(answers)
    assert api.stock(item) == 10, "the stock was put back more than once"


@topic
def race_of_a_delete_and_an_order(api: Api) -> None:
    """Both may succeed, but no order is placed after the deletion was answered."""
    seller, buyer = api.register("seller"), api.register("buyer")
    for _ in range(5):
        item = api.make_item(seller, stock=10)["id"]

        def either(number: int, item: int = item) -> httpx.Response:
            if not number:
                return api.call("POST", "/orders", 201, 409, user=buyer, body=order_body((item, 1)))
            deleted = api.call("DELETE", f"/items/{item}", 204, 409, user=seller)
            if deleted.is_success:
                api.call("POST", "/orders", 409, user=buyer, body=order_body((item, 1)))
            return deleted

        bought, deleted = at_once(2, either)
        assert bought.is_success or deleted.is_success, f"{show(bought)}\n{show(deleted)}"
        api.call("GET", f"/items/{item}", 404 if deleted.is_success else 200)
        if deleted.is_success:
            api.call("POST", f"/items/{item}/restore", 200, user=seller)
        expect_equal(api.stock(item), 9 if bought.is_success else 10)


@topic
def race_of_deletions_and_of_restorations(api: Api) -> None:
    owner = api.register("owner")
    item = api.make_item(owner)["id"]

    def delete(_: int) -> httpx.Response:
        return api.call("DELETE", f"/items/{item}", 204, 404, 409, user=owner)

    def restore(_: int) -> httpx.Response:
        return api.call("POST", f"/items/{item}/restore", 200, 404, 409, user=owner)

    for _ in range(3):
        answers = at_once(4, delete)
        assert statuses(answers).count(204) == 1, statuses(answers)
        api.call("GET", f"/items/{item}", 404)
        answers = at_once(4, restore)
        assert statuses(answers).count(200) == 1, statuses(answers)
        api.call("GET", f"/items/{item}", 200)


@topic
def race_for_a_sku(api: Api) -> None:
    owner = api.register("race")
    body = {"name": "A thing", "price": "1.00", "sku": "A-1"}

    def create(_: int) -> httpx.Response:
        return api.call("POST", "/items", 201, 409, user=owner, body=body)

    answers = at_once(20, create)
    assert statuses(answers) == [201] + [409] * 19, statuses(answers)
    items = [api.make_item(owner)["id"] for _ in range(5)]

    def patch(number: int) -> httpx.Response:
        path, change = f"/items/{items[number]}", {"sku": "A-2"}
        return api.call("PATCH", path, 200, 409, user=owner, body=change)

    answers = at_once(len(items), patch)
    assert statuses(answers) == [200] + [409] * (len(items) - 1), statuses(answers)


@topic
def race_of_imports(api: Api) -> None:
    """Each sku is created once, and imports that cross do not deadlock."""
    owner = api.register("race")
    rows = [{"name": "A thing", "price": "1.00", "sku": f"{n:02}"} for n in range(20)]

    def send(number: int) -> httpx.Response:
        turned = rows[number:] + rows[:number]
        body = {"items": turned[::-1] if number % 2 else turned}
        return api.call("POST", "/items/import", 200, user=owner, body=body)

    answers = [answer.json() for answer in at_once(CLIENTS, send)]
    created = [number for answer in answers for number in ids(answer["created"])]
    expect_equal(sum(len(answer["rejected"]) for answer in answers), (CLIENTS - 1) * len(rows))
    items = list(api.walk("/items", owner_id=owner.id))
    expect_equal(sorted(ids(items)), sorted(created))
    expect_equal(sorted(item["sku"] for item in items), [row["sku"] for row in rows])


# The OpenAPI document ------------------------------------------------------------------

OPERATIONS = {
    "/users": {"get", "post"},
    "/auth/token": {"post"},
    "/users/me": {"get", "patch", "delete"},
    "/users/me/profile": {"get", "put"},
    "/users/{}": {"get", "patch"},
    "/items": {"get", "post"},
    "/items/import": {"post"},
    "/items/{}": {"get", "patch", "delete"},
    "/items/{}/restore": {"post"},
    "/items/{}/transfer": {"post"},
    "/orders": {"get", "post"},
    "/orders/{}": {"get", "patch"},
    "/orders/summary": {"get"},
}


def openapi_document(api: Api) -> None:
    """Check that it has every operation, and every status that was answered until now."""
    document = api.json("GET", "/openapi.json")
    paths: dict[str, Json] = {
        re.sub(r"\{\w+\}", "{}", path): operations for path, operations in document["paths"].items()
    }
    for path, methods in OPERATIONS.items():
        assert paths.get(f"/api/v1{path}", {}).keys() >= methods, f"{path} in {list(paths)}"
    operations = [operation for path in paths.values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names), f"operations of one name: {sorted(names)}"
    for operation in operations:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"]), operation
        assert operation.get("description"), f"no description: {operation}"
    missing = set()
    for method, path, status in api.seen:
        template = template_of(path, list(paths))
        operation = paths.get(template, {}).get(method.lower())
        if operation is not None and str(status) not in operation["responses"]:
            missing.add((method, template, status))
    assert not missing, f"answered, but not in the OpenAPI document: {sorted(missing)}"


def template_of(path: str, templates: list[str]) -> str:
    for template in sorted(templates, key=lambda text: text.count("{}")):
        if re.fullmatch(re.escape(template).replace(r"\{\}", "[^/]+"), path):
            return template
    return ""
