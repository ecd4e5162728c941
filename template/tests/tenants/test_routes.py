from typing import Any

import httpx2
import pytest

from app.tokens import create_access_token
from app.users.models import User
from tests.samples import PASSWORD, email
from tests.service import Service, settings


@pytest.fixture
def admin(service: Service) -> httpx2.Client:
    return service.administrator()


def person() -> dict[str, str]:
    return {"email": email(), "name": "Grace", "password": PASSWORD}


def read(client: httpx2.Client, path: str) -> Any:
    return client.get(path).raise_for_status().json()


def test_an_administrator_renames_the_tenant(admin: httpx2.Client, seller: httpx2.Client) -> None:
    before = read(seller, "/tenants/me")
    assert before["name"] == "Ours"

    response = admin.patch("/tenants/me", json={"name": "New"})

    after = response.json()
    assert after == before | {"name": "New", "updated_at": after["updated_at"]}
    assert read(seller, "/tenants/me") == after
    admin.patch("/tenants/me", json={"name": "Ours"}).raise_for_status()


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
