"""The benchmark: what it prints can be believed. How fast anything is, no test says."""

from pathlib import Path

import pytest

from hooks.bench import Effort, compare, install, shares
from hooks.databases import Databases
from hooks.load import (
    ENDPOINTS,
    ROWS,
    BenchError,
    create_requests,
    fill,
    log_in,
    new_database,
    put_under_load,
    require_wrk,
    serving_variant,
)
from hooks.variants import ROOT, Variant, variants

pytestmark = pytest.mark.xdist_group("bench")


@pytest.fixture(scope="module", autouse=True)
def wrk() -> None:
    require_wrk()


@pytest.fixture
def variant() -> Variant:
    return next(variant for variant in variants() if variant.name == "async-postgres-crud")


def test_a_row_for_each_endpoint_of_each_server(variant: Variant) -> None:
    rows = compare([variant], Effort(rounds=1, seconds=1))

    servers = ("limit-postgres", variant.name, "plain-async-postgres")
    assert [(row.variant, row.endpoint) for row in rows] == [
        (server, endpoint) for server in servers for endpoint in ENDPOINTS
    ]
    statements = {row.endpoint: row.statements for row in rows if row.variant == variant.name}
    assert statements == {"get": 1, "list": 1, "create": 2, "patch": 3, "order": 6}
    for row in rows:
        assert row.requests_per_second > 0
        assert row.p99_ms >= row.p50_ms > 0
        assert row.cpu_us_per_request > 0
        assert row.rss_mib >= 10
        assert (row.ratio_to_limit == 1) == (row.variant == "limit-postgres")


def test_an_answer_that_is_no_success_ends_it(variant: Variant, tmp_path: Path) -> None:
    service = install(variant, tmp_path / "service", ROOT)
    with Databases() as databases:
        database_url = new_database(databases, service, variant)
        with serving_variant(variant, service, database_url) as server:
            user_id, _ = log_in(server.url)
            fill(databases, database_url, user_id, ROWS)
            with pytest.raises(BenchError, match="did not answer every request with a 2xx"):
                put_under_load(server, create_requests(0), "no token", 1)


def test_the_innermost_frame_of_a_known_package_decides() -> None:
    samples = """\
main (/v/uvicorn/server.py:1);app (/v/fastapi/routing.py:2);scalar (/v/sqlalchemy/orm.py:3) 6
main (/v/uvicorn/server.py:1);get (/x/app/items/crud.py:2);exit (/python/contextlib.py:9) 3
main (/v/uvicorn/server.py:1);serialize_json (/v/fastapi/x.py:2);dump (/v/pydantic/y.py:3) 1
"""
    assert shares(samples) == {
        "SQLAlchemy": 0.6,
        "the service's own code": 0.3,
        "serialization": 0.1,
    }
