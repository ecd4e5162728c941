"""Render the template from the files as they are now, committed or not."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import copier
from copier.errors import DirtyLocalWarning

from hooks.variants import ROOT

# Copier changes the working directory of the process: render one service at a time.
_one_at_a_time = Lock()


def render(answers: Mapping[str, Any], folder: Path, template: Path = ROOT) -> None:
    """Render a service into `folder`. Raises ValueError, which says why an answer is refused.

    `HEAD` includes uncommitted files; without a reference, Copier would take the last release. The
    template is trusted no more than by a user.
    """
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore", DirtyLocalWarning)
        copier.run_copy(
            str(template),
            folder,
            data=dict(answers),
            settings=copier.Settings(),  # not those of the person who runs this
            vcs_ref="HEAD",
            exclude=["__pycache__"],  # git ignores it, but a template may be a plain folder
            defaults=True,
            quiet=True,
        )
