"""The documentation of the API is served by this service alone, or not at all."""

import re
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from app.main import create_app
from app.settings import Settings

SCRIPT = "/docs/swagger-ui-bundle.js"


@pytest.fixture
def docs(settings: Settings) -> TestClient:
    return TestClient(create_app(settings))


def mounted(prefix: str, settings: Settings) -> TestClient:
    site = FastAPI(openapi_url=None)
    site.mount(prefix, create_app(settings))
    return TestClient(site)


def allowed(response: Response) -> set[str]:
    return set(response.headers["Allow"].split(", "))


def test_the_page_loads_nothing_from_other_hosts(docs: TestClient) -> None:
    page = docs.get("/docs")
    script = docs.get("/docs/start.js")
    policy = page.headers["Content-Security-Policy"]

    assert set(re.findall(r"\w+://[^\s;]*", page.text + script.text + policy)) == set()
    assert "default-src 'none'; script-src 'self';" in policy


@pytest.mark.parametrize("prefix", ["", "/shop"])
def test_the_page_finds_its_files_and_the_document(settings: Settings, prefix: str) -> None:
    client = mounted(prefix, settings)

    page = client.get(f"{prefix}/", follow_redirects=True)

    assert page.url.path == f"{prefix}/docs"
    files = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert len(files) == 4
    for file in files:
        assert client.get(urljoin(str(page.url), file)).raise_for_status().content
    (address,) = re.findall(r'url: "([^"]+)"', client.get(f"{prefix}/docs/start.js").text)
    document = client.get(urljoin(str(page.url), address)).json()
    assert document.get("servers", [{"url": ""}]) == [{"url": prefix}]


def test_a_405_below_a_prefix_lists_the_allowed_methods(settings: Settings) -> None:
    response = mounted("/shop", settings).put("/shop/api/v1/users")

    assert response.status_code == 405
    assert allowed(response) == {"GET", "HEAD", "POST"}


def test_unchanged_files_are_not_sent_again(docs: TestClient) -> None:
    file = docs.get(SCRIPT)
    assert file.headers["Content-Type"].startswith("text/javascript")
    assert file.headers["Cache-Control"] == "no-cache"

    assert docs.get(SCRIPT, headers={"If-None-Match": file.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/start.js", "/docs/swagger-ui.css"])
def test_the_documentation_is_read_only(docs: TestClient, path: str) -> None:
    assert allowed(docs.post(path)) == {"GET", "HEAD"}
    assert docs.head(path, follow_redirects=False).content == b""


def test_disabled_documentation_is_404(settings: Settings) -> None:
    client = TestClient(create_app(settings.model_copy(update={"docs_enabled": False})))

    for path in ("/", "/docs", "/docs/start.js", "/docs/swagger-ui.css", "/openapi.json"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.headers["Content-Type"] == "application/problem+json"
    assert "GET" in allowed(client.put("/api/v1/users"))
