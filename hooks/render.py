"""Render the template as its files stand now, committed or not."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

import copier
from copier.errors import DirtyLocalWarning

from hooks.variants import ROOT

# Copier changes the working directory of the process while it works: one rendering at a time.
_one_at_a_time = Lock()


def render(answers: Mapping[str, str], folder: Path, template: Path = ROOT) -> None:
    """Render a service into `folder`; ValueError says which answer is refused, and why.

    `HEAD` takes the working tree with all that is not ignored by git, where no reference takes
    the last release. The template is trusted with no more than it is by a user.
    """
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore", DirtyLocalWarning)
        copier.run_copy(
            str(template),
            folder,
            data=dict(answers),
            settings=copier.Settings(),  # none of the person's who runs this
            vcs_ref="HEAD",
            exclude=["__pycache__"],  # which git would ignore, were this not a plain folder
            defaults=True,
            quiet=True,
        )
