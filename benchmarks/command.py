"""`hooks bench`, and the tables that it prints."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.breakdown import break_down
from benchmarks.comparison import FULL, QUICK, Effort, Row, compare
from benchmarks.endpoints import ENDPOINTS
from benchmarks.growth import Growth, grow
from benchmarks.load import require_wrk
from benchmarks.servers import BenchError, OnStep
from benchmarks.telemetry import measure_telemetry
from hooks.service import UV, CommandError
from hooks.terminal import VariantNames, failure, out, progress, variants_named
from hooks.variants import Variant

Quick = Annotated[
    bool, typer.Option(help="Fewer and shorter rounds, and no table of a million rows.")
]
Results = tuple[list[Row], list[Growth], dict[str, dict[str, float]]]


def bench(
    context: typer.Context,
    names: VariantNames = None,
    quick: Quick = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the rows of the first table to this file.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the requests per second to this file (SVG, PNG or PDF)."),
    ] = None,
) -> None:
    """Measure variants under load, beside a hand-written application, the limit, and a plain one.

    Measures all variants without tenants, unless some are named; the others have other tables.
    Each server has one worker, on a core of its own where the system can pin processes. Ends with
    status 1 at the first answer that is not a 2xx. benchmarks/README.md explains the method.
    """
    chosen = comparable(names, context.obj)
    with measuring() as show:
        rows, growths, parts = measure(chosen, QUICK if quick else FULL, context.obj, show)
    out.print(comparison_table(rows), growth_table(growths), parts_table(parts))
    write(rows, {variant.name for variant in chosen}, json_file, plot)


def bench_telemetry(
    context: typer.Context, names: VariantNames = None, quick: Quick = False
) -> None:
    """Measure what telemetry costs a request, beside the same service without it.

    Takes the variants that `bench` takes, and ends as it does.
    """
    chosen = comparable(names, context.obj)
    with measuring() as show:
        for variant in chosen:
            costs = measure_telemetry(variant, QUICK if quick else FULL, context.obj, show)
            out.print(telemetry_table(variant, costs))


@contextmanager
def measuring() -> Iterator[OnStep]:
    """Yield what shows the step that is measured; end with status 1 when one fails."""
    with progress() as bar:
        task = bar.add_task("")
        try:
            require_wrk()
            yield lambda step: bar.update(task, description=step)
        except (BenchError, CommandError) as error:
            failure(str(error))


def measure(chosen: Sequence[Variant], effort: Effort, template: Path, on_step: OnStep) -> Results:
    """Compare the variants of each database; measure growth and parts for the first of them."""
    rows: list[Row] = []
    growths: list[Growth] = []
    parts: dict[str, dict[str, float]] = {}
    for group in by_database(chosen):
        rows += compare(group, effort, template, on_step)
        growths += grow(group[0], effort, template, on_step)
        parts[group[0].name] = break_down(group[0], effort, template, on_step)
    return rows, growths, parts


def comparable(names: Sequence[str] | None, template: Path) -> list[Variant]:
    """Return the named variants, or all that can share a database with the limit."""
    named = variants_named(names, template)
    chosen = [variant for variant in named if "tenancy" not in variant.answers]
    if names and len(chosen) < len(names):
        failure("Variants with tenants have other tables and answers: name others.")
    return chosen


def by_database(chosen: Sequence[Variant]) -> list[list[Variant]]:
    def database(variant: Variant) -> str:
        return variant.answers["database"]

    return [list(group) for _, group in groupby(sorted(chosen, key=database), database)]


def write(rows: list[Row], names: set[str], json_file: Path | None, plot: Path | None) -> None:
    results = json.dumps([asdict(row) for row in rows if row.variant in names], indent=1)
    with TemporaryDirectory() as folder:
        file = json_file or Path(folder, "results.json")
        file.write_text(results + "\n", "utf-8")
        if plot:
            script = Path(__file__).with_name("plot.py")
            subprocess.run([UV, "run", "--quiet", script, file, plot], check=True)


def comparison_table(rows: list[Row]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("", ""):
        table.add_column(name, no_wrap=True)
    for name in ("req/s", "p50 ms", "p99 ms", "÷ limit", "÷ plain", "CPU µs", "MiB", "SQL"):
        table.add_column(name, justify="right", no_wrap=True)
    for endpoint in ENDPOINTS:
        for row in rows:
            if row.endpoint == endpoint:
                table.add_row(*cells(row))
        table.add_section()
    return table


def cells(row: Row) -> list[str]:
    return [
        row.variant,
        row.endpoint,
        f"{row.requests_per_second:,.0f}",
        f"{row.p50_ms:.1f}",
        f"{row.p99_ms:.1f}",
        f"{row.ratio_to_limit:.3f}",
        f"{row.ratio_to_plain:.2f}" if row.ratio_to_plain else "",
        f"{row.cpu_us_per_request:,.0f}",
        f"{row.idle_rss_mib:.0f} → {row.rss_mib:.0f}",
        "" if row.statements is None else str(row.statements),
    ]


def growth_table(growths: list[Growth]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title="A page of 20, one client")
    for name in ("", "items", "first page, ms", "page at 90 %, ms"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for row in growths:
        times = (f"{row.first_page_ms:.2f}", f"{row.page_at_90_percent_ms:.2f}")
        table.add_row(row.variant, f"{row.rows:,}", *times)
    return table


def telemetry_table(variant: Variant, costs: dict[str, dict[str, float]]) -> Table:
    title = f"{variant.name}: processor time of a request, ÷ without telemetry"
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title=title)
    table.add_column("exported", no_wrap=True)
    for endpoint in ENDPOINTS:
        table.add_column(endpoint, justify="right", no_wrap=True)
    for exported, ratios in costs.items():
        table.add_row(exported, *(f"{ratios[endpoint]:.2f}" for endpoint in ENDPOINTS))
    return table


def parts_table(parts: dict[str, dict[str, float]]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title="The time of a GET of one item")
    for name in ("", "part", "share"):
        table.add_column(name, justify="right" if name == "share" else "left", no_wrap=True)
    for variant, shares in parts.items():
        for part, share in shares.items():
            table.add_row(variant, part, f"{share:.0%}")
    return table
