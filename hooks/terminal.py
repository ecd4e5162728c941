"""What all commands share: the terminal, and the variants that a user names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hooks.variants import Variant, variants

out = Console()
err = Console(stderr=True)
if not out.is_terminal:
    out.width = 100  # do not wrap tables in a log

VariantNames = Annotated[
    list[str] | None, typer.Argument(metavar="[VARIANT]...", help="Default: all of them.")
]


def progress() -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=err
    )


def variant_named(name: str, template: Path) -> Variant:
    """Return a variant, or end with a line that lists all of them."""
    known = {variant.name: variant for variant in variants(template)}
    if name not in known:
        usage_error(f"There is no variant {name}. There are: {', '.join(known)}.")
    return known[name]


def variants_named(names: Sequence[str] | None, template: Path) -> list[Variant]:
    """Return the variants in the order of the template; all of them if no name is given."""
    wanted = [variant_named(name, template) for name in names or []]
    return [variant for variant in variants(template) if variant in wanted or not wanted]


def usage_error(message: str) -> NoReturn:
    """End with status 2, and one line that says what to type instead."""
    typer.echo(message, err=True)
    raise typer.Exit(2)


def failure(message: str) -> NoReturn:
    """End with status 1, and a line that says what went wrong."""
    err.print(message, style="red", markup=False)
    raise typer.Exit(1)
