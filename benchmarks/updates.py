"""Seconds and memory of `copier copy` and `copier update`, run as commands.

    uv run python -m benchmarks.updates [VARIANT]

The update goes from the first release to the files as they are now. `import copier` is the lower
bound for any template.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic
from typing import NamedTuple

from hooks.release import NEXT, clone_with_releases, git, releases
from hooks.variants import variants

ROUNDS = 5
PYTHON = sys.executable


class Taken(NamedTuple):
    """What a command and its children used; memory is the peak of the largest process."""

    seconds: float
    cpu_seconds: float
    mebibytes: float


def measure(*command: str, cwd: Path) -> Taken:
    started = monotonic()
    process = subprocess.Popen([PYTHON, *command], cwd=cwd)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(process.returncode)
    # The memory is in KiB on Linux.
    return Taken(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main(variant: str) -> None:
    answers = {each.name: each.answers for each in variants()}[variant]
    data = [word for answer in answers.items() for word in ("--data", "=".join(answer))]
    copy = ("-m", "copier", "copy", "--quiet", "--defaults", *data, "--vcs-ref")
    first = next(iter(releases()))

    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        template = folder / "template"
        clone_with_releases(template)

        def project(number: int) -> Path:
            made = folder / f"project-{number}"
            measure(*copy, first, str(template), str(made), cwd=folder)
            git("init", "--quiet", cwd=made)
            git("add", "--all", cwd=made)
            identity = ("-c", "user.name=hooks", "-c", "user.email=hooks@example.com")
            git(*identity, "commit", "--quiet", "--no-gpg-sign", "--message", "Mine", cwd=made)
            return made

        update = ("-m", "copier", "update", "--quiet", "--defaults")
        cases: dict[str, Callable[[int], Taken]] = {
            "import copier": lambda _: measure("-c", "import copier", cwd=folder),
            "copier copy": lambda number: measure(
                *copy, NEXT, str(template), str(folder / f"copy-{number}"), cwd=folder
            ),
            f"copier update, from {first}": lambda number: measure(*update, cwd=project(number)),
        }
        # In rounds, so that other load on the machine affects all cases alike.
        taken = [{name: take(number) for name, take in cases.items()} for number in range(ROUNDS)]

    print(f"{variant}, the median of {ROUNDS}, on {os.cpu_count()} cores")
    for name in cases:
        usual = Taken(*map(median, zip(*(one[name] for one in taken), strict=True)))
        print(
            f"{name:30} {usual.seconds:5.2f} s  {usual.cpu_seconds:5.2f} s of CPU "
            f"{usual.mebibytes:5.0f} MiB"
        )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else variants()[0].name)
