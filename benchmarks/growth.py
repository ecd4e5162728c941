"""How long one page of a list takes as the list grows."""

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.comparison import QUICK, Effort
from benchmarks.data import fill, log_in, new_database
from benchmarks.endpoints import API, page_after
from benchmarks.load import put_under_load
from benchmarks.servers import SERVE, OnStep, install, other_cores, serving
from hooks.databases import Databases
from hooks.variants import ROOT, Variant

SIZES = (1_000, 100_000, 1_000_000)
QUICK_SIZES = (1_000, 100_000)
FIRST_PAGE = ("GET", f"{API}/items?limit=20", "")


@dataclass(frozen=True)
class Growth:
    """The median time of a page of 20, requested by one client, in a table of some size."""

    variant: str
    rows: int
    first_page_ms: float
    page_at_90_percent_ms: float


def grow(
    variant: Variant,
    effort: Effort,
    template: Path = ROOT,
    on_step: OnStep = lambda _step: None,
) -> list[Growth]:
    """Measure pages with one server per size, in turn, after a round of warm-up."""
    sizes = QUICK_SIZES if effort is QUICK else SIZES
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="hooks-bench-")))
        service = install(variant, folder / variant.name, template)
        stack.enter_context(other_cores())
        databases = stack.enter_context(Databases())
        servers = {}
        tokens = {}
        for size in sizes:
            on_step(f"{variant.name}: insert {size:,} items")
            database_url = new_database(databases, service, variant)
            servers[size] = stack.enter_context(serving(variant.name, service, SERVE, database_url))
            user_id, tokens[size] = log_in(servers[size].url)
            fill(databases, database_url, user_id, size)

        times: dict[tuple[int, str], list[float]] = defaultdict(list)
        for number in range(effort.rounds + 1):
            for size in sizes:
                on_step(f"{variant.name}: {size:,} items, round {number} of {effort.rounds}")
                # Newest first: a tenth of the items come after this one.
                pages = {"first": FIRST_PAGE, "at 90 %": page_after(size // 10)}
                for name, page in pages.items():
                    load = put_under_load(servers[size], iter([page]), tokens[size], 1, 1)
                    if number:
                        times[size, name].append(load.p50_ms)
    return [
        Growth(variant.name, size, median(times[size, "first"]), median(times[size, "at 90 %"]))
        for size in sizes
    ]
