"""The benchmark measures what it says. No test depends on how fast anything is."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.breakdown import shares
from benchmarks.command import comparable
from benchmarks.comparison import Effort, compare
from benchmarks.data import fill, log_in, new_database
from benchmarks.endpoints import API, ENDPOINTS, ITEMS, create_requests
from benchmarks.load import put_under_load, require_wrk
from benchmarks.peer import measure_peer, read_requests
from benchmarks.servers import SERVE, BenchError, install, serving
from hooks.cli import app
from hooks.databases import Databases
from hooks.service import Service
from hooks.variants import ROOT, Variant, variants

pytestmark = pytest.mark.xdist_group("bench")


@pytest.fixture(scope="module", autouse=True)
def wrk() -> None:
    require_wrk()


@pytest.fixture(scope="module")
def variant() -> Variant:
    return next(variant for variant in variants() if variant.name == "async-postgres-crud")


@pytest.fixture(scope="module")
def service(variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Service:
    return install(variant, tmp_path_factory.mktemp("bench") / "service", ROOT)


def test_each_endpoint_of_each_server_is_a_row(variant: Variant) -> None:
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


def test_all_variants_that_share_tables_are_compared() -> None:
    compared = {each.name for each in comparable(None, ROOT)}

    assert {each.name for each in variants()} - compared == {
        f"{concurrency}-postgres-{data_access}-rows"
        for concurrency in ("async", "sync")
        for data_access in ("repository", "crud")
    }


def test_a_variant_with_tenants_is_refused() -> None:
    result = CliRunner().invoke(app, ["bench", "sync-sqlite-crud", "sync-postgres-crud-rows"])

    assert result.exit_code == 1
    assert "name others" in result.output


def test_an_answer_that_is_not_2xx_ends_the_benchmark(variant: Variant, service: Service) -> None:
    with Databases() as databases:
        database_url = new_database(databases, service, variant)
        with serving(variant.name, service, SERVE, database_url) as server:
            user_id, _ = log_in(server.url)
            fill(databases, database_url, user_id, ITEMS)
            with pytest.raises(BenchError, match="did not answer every request with a 2xx"):
                put_under_load(server, create_requests(0), "no token", 1)


def test_any_server_is_put_under_the_same_load(
    variant: Variant, service: Service, tmp_path: Path
) -> None:
    me = tmp_path / "me.tsv"
    me.write_text(f"GET\t{API}/users/me\n", "utf-8")
    effort = Effort(rounds=1, seconds=1)
    with Databases() as databases:
        database_url = new_database(databases, service, variant)
        with serving(variant.name, service, SERVE, database_url) as server:
            user_id, token = log_in(server.url)
            fill(databases, database_url, user_id, ITEMS)
            own = list(measure_peer(server.url, token, [], effort))
            (row,) = measure_peer(server.url, token, [me], effort)
            with pytest.raises(BenchError, match="did not answer every request with a 2xx"):
                list(measure_peer(server.url, "no token", [me], effort))

    assert [each.name for each in own] == list(ENDPOINTS)
    assert row.name == "me"
    assert row.requests_per_second > 0
    assert row.p99_ms >= row.p50_ms > 0


def test_a_line_that_is_no_request_is_named(tmp_path: Path) -> None:
    file = tmp_path / "get.tsv"
    file.write_text("GET\t/items\nGET items\n", "utf-8")

    with pytest.raises(BenchError, match=r"get\.tsv, line 2: expected METHOD, tab, /path"):
        list(read_requests(file))


def test_a_sample_belongs_to_its_innermost_frame_of_a_known_package() -> None:
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
