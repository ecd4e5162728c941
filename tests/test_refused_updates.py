"""`copier update` as a user types it: what it refuses, and how to take an update back."""

import re
from pathlib import Path
from shutil import rmtree

import pytest
import yaml

from hooks.release import NEXT
from hooks.variants import ROOT
from tests.conftest import Shell
from tests.projects import Projects, Tree, expect_tree, recorded, skipped, tree
from tests.test_updates import FIRST

ANSWERS = ".copier-answers.yml"
SYNC = {"concurrency": "sync"}  # not the default


@pytest.fixture
def project(projects: Projects, tmp_path: Path) -> Path:
    return projects.start(tmp_path / "project", FIRST, SYNC)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), "utf-8")


# Refused in one line, without a change ----------------------------------------------------


def state(project: Path, shell: Shell) -> tuple[Tree, str]:
    return tree(project), shell("git", "status", "--porcelain", cwd=project).stdout


def expect_refused(project: Path, shell: Shell, why: str) -> None:
    before = state(project, shell)
    update = shell.copier("update", "--defaults", cwd=project)
    assert update.returncode != 0
    assert why in update.stderr.splitlines()[-1]
    assert state(project, shell) == before


def test_uncommitted_changes_are_refused(project: Path, shell: Shell) -> None:
    (project / "notes.txt").write_text("Mine\n")
    expect_refused(project, shell, "Please commit or stash your local changes and retry.")


def test_a_project_without_git_is_refused(project: Path, shell: Shell) -> None:
    rmtree(project / ".git")
    expect_refused(project, shell, "Updating is only supported in git-tracked subprojects.")


# A line of the answers file, what somebody made of it, and Copier's message.
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
    # At the end of a traceback.
    "no YAML": ("database: postgres", "database: [", f'{ANSWERS}", line '),
    "no version": (
        f"_commit: {FIRST}\n",
        "",
        f"Cannot update because cannot obtain old template references from `{ANSWERS}`",
    ),
    "an unknown version": (f"_commit: {FIRST}", "_commit: 7.7.7", "Unknown revision: '7.7.7'"),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_in_the_answers_file_is_refused(
    projects: Projects, project: Path, shell: Shell, nonsense: str
) -> None:
    old, new, why = NONSENSE[nonsense]
    edit(project / ANSWERS, old, new)
    projects.commit(project)
    expect_refused(project, shell, why)


# The commands of the README are accepted ---------------------------------------------------


def commands(text: str, beginning: str) -> list[str]:
    """Return the commands of a README with this beginning, without comments."""
    found = re.findall(rf"{beginning}[^#&\n]*", text)
    assert found
    return [command.strip() for command in found]


@pytest.mark.parametrize("tagged", [True, False], ids=["tags", "no tags"])
def test_a_service_of_the_first_command_can_be_updated(
    projects: Projects, shell: Shell, tmp_path: Path, tagged: bool
) -> None:
    checkout, service = tmp_path / "checkout", tmp_path / "my-service"
    shell.git("clone", "--quiet", str(projects.template), str(checkout), cwd=tmp_path)
    if not tagged:  # not every clone has the tags
        shell.git("tag", "--delete", *shell.git("tag", cwd=checkout).split(), cwd=checkout)
    readme = (ROOT / "README.md").read_text("utf-8")
    copy, update = commands(readme, "uvx copier copy")[0], commands(readme, "uvx copier update")[0]
    copy = copy.replace('"$PWD"', str(checkout))
    for folder, command in ((checkout, copy), (service, update)):
        if command is update:
            shell.git("init", "--quiet", cwd=service)
            projects.commit(service)
        # A commit after the last release, as on most days.
        shell.git("commit", "--allow-empty", "--quiet", "--message", "Newer", cwd=checkout)
        done = shell.copier(*command.split()[2:], cwd=folder)
        assert done.returncode == 0, done.stderr


# An update can be undone -------------------------------------------------------------------


def update_well(project: Path, shell: Shell) -> str:
    """Update, and return the last line of the message: the command that takes the update back."""
    update = shell.copier("update", "--defaults", cwd=project)
    assert update.returncode == 0
    settings = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
    message: str = settings["_message_after_update"].strip()
    assert update.stderr.strip().endswith(message)
    return message.splitlines()[-1]


def undo(project: Path, shell: Shell, command: str) -> None:
    assert shell("sh", "-c", command, cwd=project).returncode == 0


def test_a_removed_answer_becomes_the_default(
    projects: Projects, project: Path, shell: Shell
) -> None:
    """The answer, not the code: Copier takes the code of the old answer for the owner's changes."""
    edit(project / ANSWERS, "concurrency: sync\n", "")
    projects.commit(project)
    before = tree(project)

    command = update_well(project, shell)
    assert recorded(project)["concurrency"] == "async"

    undo(project, shell, command)
    expect_tree(tree(project), before)


def test_a_conflict_is_in_one_file(projects: Projects, project: Path, shell: Shell) -> None:
    concerned, mine = "app/users/routes.py", "from fastapi import APIRouter, Query\n"
    # A later release changed this line.
    edit(project / concerned, "from fastapi import APIRouter, Form, Query\n", mine)
    projects.commit(project)
    before = tree(project)

    command = update_well(project, shell)
    unmerged = shell.git("diff", "--name-only", "--diff-filter=U", cwd=project)
    assert unmerged.splitlines() == [concerned]
    wanted = tree(projects.copy(NEXT, SYNC))
    wanted |= {path: before[path] for path in skipped() if path in before}
    expect_tree(with_theirs(tree(project), concerned, mine), wanted)

    undo(project, shell, command)
    expect_tree(tree(project), before)


def with_theirs(found: Tree, path: str, mine: str) -> Tree:
    """Resolve the one conflict of a file, which must contain `mine`, in favour of the release."""
    mode, content = found[path]
    text = content.decode()
    (conflict,) = re.finditer(
        "<<<<<<< before updating\n(.*?)=======\n(.*?)>>>>>>> after updating\n", text, re.DOTALL
    )
    assert mine in conflict[1]
    return found | {path: (mode, text.replace(conflict[0], conflict[2]).encode())}
