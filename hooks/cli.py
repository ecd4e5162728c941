"""The command line: `uv run hooks --help`."""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import TaskID
from rich.table import Table
from rich.text import Text

from benchmarks.command import bench, bench_telemetry
from hooks import variants
from hooks.check import Report, check_all
from hooks.release import ReleaseError, release
from hooks.render import render
from hooks.resources import resources
from hooks.service import UV, Service
from hooks.terminal import (
    VariantNames,
    out,
    progress,
    usage_error,
    variant_named,
    variants_named,
)
from hooks.variants import ROOT, Variant

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


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
    """Work on the template: render its variants, try them, check that each keeps its promises.

    A **variant** is one combination of the choices in `copier.yml`, and is named after them:
    `async-postgres-repository`. Commands render the files as they are now, committed or not.
    Nothing of these hooks ends up in a service.
    """
    context.obj = template


@app.command("variants")
def list_variants(context: typer.Context, as_json: Json = False) -> None:
    """List the variants and the answers that each stands for."""
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
    """Print the variants as a job matrix, for `fromJSON` in a GitHub workflow."""
    typer.echo(json.dumps(variants.matrix(context.obj)))


@app.command("render")
def render_variant(
    context: typer.Context,
    variant: Annotated[str, typer.Argument(help="A name that `hooks variants` lists.")],
    dest: Annotated[Path, typer.Argument(help="A new or an empty folder.")],
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Another answer: project_name=Shop. Repeatable."),
    ] = None,
    resource: Annotated[
        list[str] | None,
        typer.Option(
            metavar='"PLURAL FIELD…"',
            help='What one would type after `app new`: "reviews title:text". Repeatable.',
        ),
    ] = None,
) -> None:
    """Render one variant into a folder, to read or to run it."""
    chosen = variant_named(variant, context.obj)
    answered = chosen.answers.keys() | {"resources"}
    open_questions = variants.questions(context.obj).keys() - answered
    answers: dict[str, object] = dict(chosen.answers)
    answers["resources"] = resources(resource or [])
    for entry in data or []:
        key, equals, value = entry.partition("=")
        if not equals or key not in open_questions:
            known = ", ".join(sorted(open_questions))
            usage_error(f"--data {entry}: type KEY=VALUE, with one of {known}.")
        answers[key] = value
    if dest.is_file() or (dest.is_dir() and any(dest.iterdir())):
        usage_error(f"{dest} is not an empty folder.")
    try:
        render(answers, dest, context.obj)
    except ValueError as refusal:
        usage_error(str(refusal))


@app.command("check")
def check_variants(
    context: typer.Context,
    names: VariantNames = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="How many at a time.", show_default="the number of cores")
    ] = os.cpu_count() or 1,
    lowest: Annotated[
        bool, typer.Option("--lowest", help="Install the lowest versions that a service allows.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Render, install, lint, type-check, migrate, test and start variants, on their real database.

    Each is installed in an environment of its own. When one fails, shows what the failing command
    wrote, keeps the folder, so that you can repeat the command there, and ends with status 1.
    """
    if lowest:
        os.environ["UV_RESOLUTION"] = "lowest-direct"
    reports = run_checks(variants_named(names, context.obj), jobs, context.obj)
    all_passed = all(report.ok for report in reports)
    if as_json:
        verdicts = [report.to_json() for report in reports]
        typer.echo(json.dumps({"ok": all_passed, "variants": verdicts}))
    else:
        print_reports(reports)
    raise typer.Exit(0 if all_passed else 1)


def run_checks(chosen: Sequence[Variant], jobs: int, template: Path) -> list[Report]:
    """Check variants, show their progress, and return the reports in the order of the variants."""
    reports: list[Report] = []
    tasks: dict[str, TaskID] = {}
    with progress() as bar:

        def show(variant: Variant, step: str) -> None:
            if variant.name not in tasks:
                tasks[variant.name] = bar.add_task("")
            bar.update(tasks[variant.name], description=f"{variant.name}: {step}")

        for report in check_all(chosen, jobs, template, show):
            reports.append(report)
            bar.remove_task(tasks[report.variant.name])
            bar.print(verdict(report))
    return sorted(reports, key=lambda report: chosen.index(report.variant))


def print_reports(reports: Sequence[Report]) -> None:
    out.print(summary(reports))
    for report in reports:
        if not report.ok:
            out.rule(f"{report.variant.name} failed: {report.last_step}")
            out.print(Text(report.failure), soft_wrap=True)
            out.print(Text(f"Its folder: {report.folder}"), soft_wrap=True)


def verdict(report: Report) -> Text:
    seconds = f"{sum(report.seconds.values()):.0f} s"
    if report.ok:
        return Text(f"✓ {report.variant.name}  {seconds}", style="green")
    return Text(f"✗ {report.variant.name}  {seconds}, at {report.last_step}", style="bold red")


def summary(reports: Sequence[Report]) -> Table:
    """Return a table with the seconds of each step, one line per variant."""
    steps = max((report.seconds for report in reports), key=len)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("variant", no_wrap=True)
    for step in (*steps, "total"):
        table.add_column(step, justify="right")
    table.add_column("")
    for report in reports:
        table.add_row(
            report.variant.name,
            *(f"{report.seconds[step]:.1f}" if step in report.seconds else "" for step in steps),
            f"{sum(report.seconds.values()):.1f}",
            Text("✓", style="green") if report.ok else Text("✗", style="bold red"),
        )
    return table


@app.command("demo")
def demo_variant(
    context: typer.Context,
    variant: Annotated[
        str | None, typer.Argument(help="Its name. Default: the variant of the default answers.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
) -> None:
    """Render a variant into a temporary folder and serve it there until Ctrl-C."""
    chosen = variant_named(variant, context.obj) if variant else variants.variants(context.obj)[0]
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
                # The terminal has interrupted the service too: wait for it, then delete the folder.
                pass


@app.command("release")
def release_version(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="Such as 0.2.0; above the last one.")],
) -> None:
    """Tag the current commit as a version, after its updates are proven.

    Refuses unless everything is committed, `CHANGELOG.md` has the version, and the tests of
    updates, which it runs, pass. Adds the version to `tests/releases.toml`: commit that next.
    """
    try:
        release(version, context.obj)
    except ReleaseError as refusal:
        usage_error(str(refusal))
    out.print(
        Text(f"Tagged {version}. Now commit tests/releases.toml; then git push --follow-tags.")
    )


app.command("bench")(bench)
app.command("bench-telemetry")(bench_telemetry)
