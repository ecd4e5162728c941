"""Record the picture of README.md: `uv run python docs/recording.py`.

A service is rendered, the commands run in it, and their output is drawn as a terminal that types.
"""

import os
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from hooks.release import NEXT, clone_with_releases
from hooks.service import FOREIGN
from hooks.variants import ROOT

PICTURE = ROOT / "docs" / "recording.svg"
WIDTH = 100
COMMANDS = [
    "uv run app new reviews title:text rating:integer:1:5 body:text:5000:optional item:items",
    "uv run alembic upgrade heads && uv run pytest tests/reviews",
]
SECONDS_TO_READ = 1.6
SECONDS_A_LINE = 0.25
ANIMATION = """
    .recording-matrix text { animation: appear 1ms both }
    @keyframes appear { from { opacity: 0 } }
    @media (prefers-reduced-motion: reduce) { .recording-matrix text { animation: none } }
    """


def record(folder: Path) -> list[str]:
    """Run the commands in a new service, and return what a terminal shows."""
    template, service = folder / "template", folder / "my-service"
    clone_with_releases(template)
    environment = {name: value for name, value in os.environ.items() if not FOREIGN.fullmatch(name)}
    environment |= {"FORCE_COLOR": "1", "PY_COLORS": "1", "COLUMNS": str(WIDTH)}
    environment["PYTEST_ADDOPTS"] = "--no-header"  # which has paths of this machine

    def run(command: str, cwd: Path) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{command}\n{done.stdout}")
        return done.stdout

    run(f"uvx copier copy --quiet --defaults --vcs-ref {NEXT} {template} {service}", template)
    run("git init --quiet && git add . && uv sync --quiet && uv run alembic upgrade heads", service)
    shown = []
    for command in COMMANDS:
        shown.append(f"\x1b[1;32m$\x1b[0m \x1b[1m{command}\x1b[0m")
        shown += [line for line in run(command, service).splitlines() if line.strip()]
    return shown


def draw(lines: list[str]) -> str:
    """Draw a terminal with a background of its own, for light pages and dark ones."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        for line in lines:
            console.print(Text.from_ansi(line))
        svg = console.export_svg(title="my-service", theme=MONOKAI, unique_id="recording")
    # Its font would be loaded from another server.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return play(svg.replace("Fira Code, monospace", "ui-monospace, Menlo, monospace"), lines)


def play(svg: str, lines: list[str]) -> str:
    """Let each line appear in its turn, except for people who want nothing to move."""
    second = 0.0
    for number, line in enumerate(lines):
        second += SECONDS_TO_READ if "$" in line.partition(" ")[0] else SECONDS_A_LINE
        clip = f'clip-path="url(#recording-line-{number})"'
        svg = svg.replace(clip, f'{clip} style="animation-delay: {second:.1f}s"')
    return svg.replace("</style>", f"{ANIMATION}</style>", 1)


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        PICTURE.write_text(draw(record(Path(folder))), "utf-8")
