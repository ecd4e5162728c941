"""The command line: `uv run hooks --help`."""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from hooks import variants
from hooks.bench import FULL, QUICK, Growth, Row, break_down, compare, grow
from hooks.check import Report, check_all
from hooks.load import BENCHMARKS, ENDPOINTS, BenchError, require_wrk
from hooks.release import ReleaseError, release
from hooks.render import render
from hooks.service import UV, CommandError, Service
from hooks.variants import ROOT, Variant

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")
out = Console()
err = Console(stderr=True)
if not out.is_terminal:
    out.width = 100  # a log is as wide as it must be

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")]


@app.callback()
def hooks(
    context: typer.Context,
    template: Annotated[
        Path,
        typer.Option(
            help="The template to work on.", exists=True, file_okay=False, resolve_path=True
        ),
    ] = ROOT,
) -> None:
    """Work on the template: render its variants, try them out, check that each keeps its promises.

    A **variant** is one combination of the choices that `copier.yml` offers, and its name is those
    choices: `async-postgres-repository`. The template is rendered as its files are now, committed
    or not. Nothing of these hooks ends up in a service.
    """
    context.obj = template


@app.command("variants")
def list_variants(context: typer.Context, as_json: Json = False) -> None:
    """List the variants, and the answers that each of them stands for."""
    found = variants.variants(context.obj)
    if as_json:
        typer.echo(json.dumps([{"variant": each.name, "answers": each.answers} for each in found]))
        return
    table = Table("variant", *variants.axes(context.obj))
    for variant in found:
        table.add_row(variant.name, *variant.answers.values())
    out.print(table)


@app.command("matrix")
def print_matrix(context: typer.Context) -> None:
    """Print the variants as a matrix of jobs, for `fromJSON` in a GitHub workflow."""
    typer.echo(json.dumps(variants.matrix(context.obj)))


@app.command("render")
def render_variant(
    context: typer.Context,
    variant: Annotated[str, typer.Argument(help="Its name, as `hooks variants` lists it.")],
    dest: Annotated[Path, typer.Argument(help="A folder that is new, or empty.")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Another answer, such as project_name=Shop; may be repeated."
        ),
    ] = None,
) -> None:
    """Render one variant into a folder, to be looked at or run."""
    chosen = find(variant, context.obj)
    open_questions = variants.questions(context.obj).keys() - chosen.answers.keys()
    answers = dict(chosen.answers)
    for entry in data or []:
        key, equals, value = entry.partition("=")
        if not equals or key not in open_questions:
            fail(
                f"--data {entry}: give KEY=VALUE, with one of {', '.join(sorted(open_questions))}."
            )
        answers[key] = value
    if dest.is_file() or (dest.is_dir() and any(dest.iterdir())):
        fail(f"{dest} is not an empty folder.")
    try:
        render(answers, dest, context.obj)
    except ValueError as refusal:
        fail(str(refusal))


@app.command("check")
def check_variants(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VARIANT]...", help="All of them, if none is given."),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="How many at once.", show_default="the number of cores")
    ] = os.cpu_count() or 1,
    as_json: Json = False,
) -> None:
    """Render, install, lint, type-check, migrate, test and boot variants, on their real engine.

    Each is installed in an environment of its own. Ends with 1 when one fails, and shows what its
    failing command wrote; its folder stays, so that the command can be run again there.
    """
    chosen = find_all(names or [], context.obj)
    reports: list[Report] = []
    tasks: dict[str, TaskID] = {}
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=err
    ) as progress:

        def show(variant: Variant, step: str) -> None:
            if variant.name not in tasks:
                tasks[variant.name] = progress.add_task("")
            progress.update(tasks[variant.name], description=f"{variant.name}: {step}")

        for report in check_all(chosen, jobs, context.obj, show):
            reports.append(report)
            progress.remove_task(tasks[report.variant.name])
            progress.print(verdict(report))

    reports.sort(key=lambda report: chosen.index(report.variant))
    failed = [report for report in reports if not report.ok]
    if as_json:
        typer.echo(
            json.dumps({"ok": not failed, "variants": [report.to_json() for report in reports]})
        )
    else:
        out.print(summary(reports))
        for report in failed:
            out.rule(f"{report.variant.name} failed: {report.last_step}")
            out.print(Text(report.failure), soft_wrap=True)
            out.print(Text(f"Its folder: {report.folder}"), soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


@app.command("demo")
def demo_variant(
    context: typer.Context,
    variant: Annotated[
        str | None, typer.Argument(help="Its name; the default answers, if none is given.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port to serve at.", min=1, max=65535)] = 8000,
) -> None:
    """Render a variant into a temporary folder and serve it there, until Ctrl-C."""
    chosen = find(variant, context.obj) if variant else variants.variants(context.obj)[0]
    with TemporaryDirectory(prefix=f"{chosen.name}-", ignore_cleanup_errors=True) as folder:
        render(chosen.answers, Path(folder), context.obj)
        typer.echo(f"{chosen.name} in {folder}; Ctrl-C stops it and deletes the folder.", err=True)
        process = subprocess.Popen(
            [UV, "run", "app", "dev", "--port", str(port)],
            cwd=folder,
            env=Service(Path(folder)).environment(),
        )
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        while True:
            try:
                raise typer.Exit(process.wait())
            except KeyboardInterrupt:
                pass  # the terminal has told the service, too; see it stop before the folder goes


@app.command("bench")
def bench_variants(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VARIANT]...", help="All of them, if none is given."),
    ] = None,
    quick: Annotated[
        bool, typer.Option(help="Fewer and shorter rounds, and no table of a million rows.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write a list of an object for each row here.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the requests per second here (SVG, PNG or PDF).")
    ] = None,
) -> None:
    """Measure variants under load, beside an application by hand, the limit, and a plain one.

    Each is served by one worker, on a core of its own where that can be said. Any answer that is
    not a 2xx ends it with 1. benchmarks/README.md has the method.
    """
    chosen = find_all(names or [], context.obj)
    effort = QUICK if quick else FULL
    databases = dict.fromkeys(variant.answers["database"] for variant in chosen)
    groups = [
        [variant for variant in chosen if variant.answers["database"] == database]
        for database in databases
    ]
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=err
    ) as progress:
        task = progress.add_task("")

        def show(step: str) -> None:
            progress.update(task, description=step)

        try:
            require_wrk()
            rows = [row for group in groups for row in compare(group, effort, context.obj, show)]
            growths = [row for group in groups for row in grow(group[0], effort, context.obj, show)]
            parts = {
                group[0].name: break_down(group[0], effort, context.obj, show) for group in groups
            }
        except (BenchError, CommandError) as error:
            raise failed(str(error)) from None

    out.print(comparison(rows), growth_table(growths), parts_table(parts))
    if json_file or plot:
        names_chosen = {variant.name for variant in chosen}
        results = json.dumps([asdict(row) for row in rows if row.variant in names_chosen], indent=1)
        with TemporaryDirectory() as folder:
            file = json_file or Path(folder, "results.json")
            file.write_text(results + "\n", "utf-8")
            if plot:
                subprocess.run(
                    [UV, "run", "--quiet", BENCHMARKS / "plot.py", file, plot], check=True
                )


@app.command("release")
def release_version(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="Such as 0.2.0, above the last one.")],
) -> None:
    """Tag the commit that is checked out as a version, once its updates are proven.

    Refuses unless all is committed, `CHANGELOG.md` has the version, and the tests of updates pass,
    which it runs. Adds the version to `tests/releases.toml`, to be committed right after.
    """
    try:
        release(version, context.obj)
    except ReleaseError as refusal:
        fail(str(refusal))
    out.print(
        Text(f"Tagged {version}. Now commit tests/releases.toml; then git push --follow-tags.")
    )


def find(name: str, template: Path) -> Variant:
    known = {variant.name: variant for variant in variants.variants(template)}
    if name not in known:
        fail(f"There is no variant {name}. There are: {', '.join(known)}.")
    return known[name]


def find_all(names: Sequence[str], template: Path) -> list[Variant]:
    """The variants with these names, in their own order; all of them, if none is given."""
    wanted = [find(name, template) for name in names]
    return [variant for variant in variants.variants(template) if variant in wanted or not wanted]


def fail(message: str) -> NoReturn:
    """End with one line that says what to type instead."""
    typer.echo(message, err=True)
    raise typer.Exit(2)


def failed(message: str) -> typer.Exit:
    """End with 1, after a line that says what went wrong."""
    err.print(message, style="red", markup=False)
    return typer.Exit(1)


def comparison(rows: list[Row]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("", ""):
        table.add_column(name, no_wrap=True)
    for name in ("req/s", "p50 ms", "p99 ms", "÷ limit", "÷ plain", "CPU µs", "MiB", "SQL"):
        table.add_column(name, justify="right", no_wrap=True)
    for endpoint in ENDPOINTS:
        for row in rows:
            if row.endpoint != endpoint:
                continue
            table.add_row(
                row.variant,
                endpoint,
                f"{row.requests_per_second:,.0f}",
                f"{row.p50_ms:.1f}",
                f"{row.p99_ms:.1f}",
                f"{row.ratio_to_limit:.3f}",
                f"{row.ratio_to_plain:.2f}" if row.ratio_to_plain else "",
                f"{row.cpu_us_per_request:,.0f}",
                f"{row.idle_rss_mib:.0f} → {row.rss_mib:.0f}",
                "" if row.statements is None else str(row.statements),
            )
        table.add_section()
    return table


def growth_table(growths: list[Growth]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title="A page of 20, one client")
    for name in ("", "items", "first page, ms", "page at 90 %, ms"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for row in growths:
        times = (f"{row.first_page_ms:.2f}", f"{row.page_at_90_percent_ms:.2f}")
        table.add_row(row.variant, f"{row.rows:,}", *times)
    return table


def parts_table(parts: dict[str, dict[str, float]]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title="The time of a GET of one item")
    for name in ("", "part", "share"):
        table.add_column(name, justify="right" if name == "share" else "left", no_wrap=True)
    for variant, shares in parts.items():
        for part, share in shares.items():
            table.add_row(variant, part, f"{share:.0%}")
    return table


def verdict(report: Report) -> Text:
    seconds = f"{sum(report.seconds.values()):.0f} s"
    if report.ok:
        return Text(f"✓ {report.variant.name}  {seconds}", style="green")
    return Text(f"✗ {report.variant.name}  {seconds}, at {report.last_step}", style="bold red")


def summary(reports: list[Report]) -> Table:
    """The seconds of each step, a line a variant."""
    taken = max((report.seconds for report in reports), key=len)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("variant", no_wrap=True)
    for step in (*taken, "total"):
        table.add_column(step, justify="right")
    table.add_column("")
    for report in reports:
        seconds = {
            **dict.fromkeys(taken, None),
            **report.seconds,
            "total": sum(report.seconds.values()),
        }
        table.add_row(
            report.variant.name,
            *("" if value is None else f"{value:.1f}" for value in seconds.values()),
            Text("✓", style="green") if report.ok else Text("✗", style="bold red"),
        )
    return table
