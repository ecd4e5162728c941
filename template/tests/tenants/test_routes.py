from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
import pytest

from app.tokens import create_access_token
from app.users.models import User
from tests import database
from tests.samples import PASSWORD, email
from tests.service import Service, at_once, settings, statuses


@pytest.fixture
def admin(service: Service) -> httpx2.Client:
    return service.administrator()


def person() -> dict[str, str]:
    return {"email": email(), "name": "Grace", "password": PASSWORD}


def read(client: httpx2.Client, path: str) -> Any:
    return client.get(path).raise_for_status().json()


def test_an_administrator_renames_the_tenant(admin: httpx2.Client, seller: httpx2.Client) -> None:
    before = read(seller, "/tenants/me")

    response = admin.patch("/tenants/me", json={"name": "New"})

    after = response.json()
    assert after == before | {"name": "New", "updated_at": after["updated_at"]}
    assert read(seller, "/tenants/me") == after
    admin.patch("/tenants/me", json={"name": before["name"]}).raise_for_status()


def test_others_do_not_administer_the_tenant(seller: httpx2.Client) -> None:
    assert seller.patch("/tenants/me", json={"name": "New"}).status_code == 403
    assert seller.post("/tenants/me/users", json=person()).status_code == 403


def test_who_registers_administers_a_tenant_of_their_own(service: Service) -> None:
    people = [person(), person()]
    tenants = set()
    for data in people:
        service.client().post("/users", json=data).raise_for_status()
        client = service.log_in(data["email"])
        users = read(client, "/users")["items"]
        assert [(user["email"], user["is_admin"]) for user in users] == [(data["email"], True)]
        tenant = read(client, "/tenants/me")
        assert tenant["name"] == data["name"]
        tenants.add(tenant["id"])

    assert len(tenants) == len(people)


def test_a_member_works_on_the_rows_of_the_tenant(service: Service, admin: httpx2.Client) -> None:
    data = person()

    response = admin.post("/tenants/me/users", json=data)

    assert response.status_code == 201
    assert response.json().items() >= {"email": data["email"], "is_admin": False}.items()
    assert read(service.log_in(data["email"]), "/tenants/me") == read(admin, "/tenants/me")


def test_an_email_is_known_in_all_tenants(service: Service, admin: httpx2.Client) -> None:
    data = person()
    service.client().post("/users", json=data).raise_for_status()

    assert admin.post("/tenants/me/users", json=data).status_code == 409


@pytest.mark.parametrize("claim", [2**53, 0, -1, None, "1", True])
def test_a_token_names_the_tenant_of_its_user(
    service: Service, seller: httpx2.Client, claim: Any
) -> None:
    user = User(id=read(seller, "/users/me")["id"], token_version=1, tenant_id=claim)
    token = create_access_token(user, settings(service.database_url))

    assert service.with_token(token).get("/users/me").status_code == 401


@dataclass
class Tenant:
    """A tenant of three users: two administrators, and one who is none."""

    administrators: list[httpx2.Client]
    paths: list[str]  # of the three


@pytest.fixture
def tenant(service: Service) -> Tenant:
    people = [person(), person(), person()]
    service.client().post("/users", json=people[0]).raise_for_status()
    first = service.log_in(people[0]["email"])
    for data in people[1:]:
        first.post("/tenants/me/users", json=data).raise_for_status()
    statement = "UPDATE users SET is_admin = true WHERE email = :email"
    database.execute(service.database_url, statement, email=people[1]["email"])
    second = service.log_in(people[1]["email"])
    paths = [f"/users/{user['id']}" for user in read(first, "/users")["items"]]
    return Tenant([first, second], paths)


def test_the_last_administrator_leaves_last(tenant: Tenant) -> None:
    first, second = tenant.administrators
    assert first.delete("/users/me").status_code == 204

    response = second.delete("/users/me")

    assert response.status_code == 409
    assert response.json()["detail"].startswith("You are the only administrator: deactivate ")
    second.patch(tenant.paths[2], json={"is_active": False}).raise_for_status()
    assert second.delete("/users/me").status_code == 204


@pytest.mark.parametrize("leave", [True, False])
def test_one_of_two_administrators_stays(service: Service, tenant: Tenant, leave: bool) -> None:
    """They leave, or deactivate each other."""
    first, second = tenant.administrators
    change = {"is_active": False}
    deletions = [partial(each.delete, "/users/me") for each in (first, second)]
    patches = [
        partial(first.patch, tenant.paths[1], json=change),
        partial(second.patch, tenant.paths[0], json=change),
    ]

    # Both requests read the users before one of them writes.
    with database.slow(service.database_url, "UPDATE ON users", seconds=0.3):
        found = statuses(at_once(deletions if leave else patches))

    assert found == ({204: 1, 409: 1} if leave else {200: 1, 401: 1})


def test_no_user_is_added_when_the_only_administrator_leaves(service: Service) -> None:
    owner = person()
    service.client().post("/users", json=owner).raise_for_status()
    client = service.log_in(owner["email"])
    add = partial(client.post, "/tenants/me/users", json=person())

    with database.slow(service.database_url, "INSERT ON users", seconds=0.3):
        found = statuses(at_once([add, partial(client.delete, "/users/me")]))

    assert found in ({201: 1, 409: 1}, {401: 1, 204: 1})
