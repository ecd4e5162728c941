"""`copier update`, as its user types it: what it refuses, and how the rest is taken back."""

from pathlib import Path
from shutil import rmtree

import pytest
import yaml

from hooks.release import NEXT
from hooks.variants import ROOT
from tests.conftest import Shell
from tests.projects import Projects, Tree, expect_tree, recorded, tree
from tests.test_updates import FIRST

ANSWERS = ".copier-answers.yml"
SYNC = {"concurrency": "sync"}  # which is not the default


@pytest.fixture
def project(projects: Projects, tmp_path: Path) -> Path:
    return projects.start(tmp_path / "project", FIRST, SYNC)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), "utf-8")


# A clear line, and an untouched project ---------------------------------------------------


def state(project: Path, shell: Shell) -> tuple[Tree, str]:
    return tree(project), shell("git", "status", "--porcelain", cwd=project).stdout


def expect_refused(project: Path, shell: Shell, why: str) -> None:
    before = state(project, shell)
    update = shell.copier("update", "--defaults", cwd=project)
    assert update.returncode != 0
    assert why in update.stderr.splitlines()[-1]
    assert state(project, shell) == before


def test_uncommitted_work(project: Path, shell: Shell) -> None:
    (project / "notes.txt").write_text("Mine\n")
    expect_refused(project, shell, "Please commit or stash your local changes and retry.")


def test_no_git(project: Path, shell: Shell) -> None:
    rmtree(project / ".git")
    expect_refused(project, shell, "Updating is only supported in git-tracked subprojects.")


# What was in the answers file, what somebody has made of it, and what Copier says of that.
NONSENSE = {
    "no choice": (
        "concurrency: sync",
        "concurrency: asink",
        "Invalid choice for 'concurrency': 'asink' is not in ['async', 'sync']",
    ),
    "an empty name": (
        "project_name: My Service",
        "project_name: ''",
        "Validation error for question 'project_name': Type 1 to 60 printable characters",
    ),
    # After a traceback.
    "no YAML": ("database: postgres", "database: [", f'{ANSWERS}", line '),
    "no version": (
        f"_commit: {FIRST}\n",
        "",
        f"Cannot update because cannot obtain old template references from `{ANSWERS}`",
    ),
    "an unknown version": (f"_commit: {FIRST}", "_commit: 7.7.7", "Unknown revision: '7.7.7'"),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_an_answers_file_edited_into_nonsense(
    projects: Projects, project: Path, shell: Shell, nonsense: str
) -> None:
    old, new, why = NONSENSE[nonsense]
    edit(project / ANSWERS, old, new)
    projects.commit(project)
    expect_refused(project, shell, why)


# What is not refused can be undone --------------------------------------------------------


def update_well(project: Path, shell: Shell) -> str:
    """Update, and return the command that takes it back, which comes last of all that is said."""
    update = shell.copier("update", "--defaults", cwd=project)
    assert update.returncode == 0
    settings = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
    message: str = settings["_message_after_update"].strip()
    assert update.stderr.strip().endswith(message)
    return message.splitlines()[-1]


def undo(project: Path, shell: Shell, command: str) -> None:
    assert shell("sh", "-c", command, cwd=project).returncode == 0


def test_an_answer_that_is_taken_out_becomes_the_default(
    projects: Projects, project: Path, shell: Shell
) -> None:
    """The answer, not the code: all that differs for the answer is taken for the owner's work."""
    edit(project / ANSWERS, "concurrency: sync\n", "")
    projects.commit(project)
    before = tree(project)

    command = update_well(project, shell)
    assert recorded(project)["concurrency"] == "async"

    undo(project, shell, command)
    expect_tree(tree(project), before)


def test_a_conflict_is_in_the_one_file_concerned(
    projects: Projects, project: Path, shell: Shell
) -> None:
    concerned, imports = "app/users/routes.py", "from fastapi import "
    mine = imports + "APIRouter, Query\n"
    # A release has changed this line since.
    edit(project / concerned, imports + "APIRouter, Form, Query\n", mine)
    projects.commit(project)
    before = tree(project)

    command = update_well(project, shell)
    unmerged = shell.git("diff", "--name-only", "--diff-filter=U", cwd=project)
    assert unmerged.splitlines() == [concerned]
    wanted = tree(projects.copy(NEXT, SYNC))
    mode, content = wanted[concerned]
    text = content.decode()
    (theirs,) = [line for line in text.splitlines(keepends=True) if line.startswith(imports)]
    both = f"<<<<<<< before updating\n{mine}=======\n{theirs}>>>>>>> after updating\n"
    wanted[concerned] = mode, text.replace(theirs, both).encode()
    expect_tree(tree(project), wanted)

    undo(project, shell, command)
    expect_tree(tree(project), before)
