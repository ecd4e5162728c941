"""What the tests share: a template that is a clean clone, and a folder for the whole run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hooks.databases import Databases
from hooks.variants import ROOT
from tests.projects import Projects

pytest.register_assert_rewrite("tests.api")

GIT = {
    # No setting of the person who runs the tests, who may sign commits or name branches otherwise.
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


class Shell:
    """Commands as a user types them, without the user's own settings of git and Copier."""

    def __init__(self, settings: Path) -> None:
        self.environment = os.environ | GIT | {"COPIER_SETTINGS_PATH": str(settings)}

    def __call__(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=cwd, env=self.environment, capture_output=True, text=True, check=False
        )

    def git(self, *arguments: str, cwd: Path) -> str:
        done = self("git", *arguments, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def copier(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return self(sys.executable, "-m", "copier", *arguments, cwd=cwd)


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    settings = tmp_path_factory.mktemp("copier") / "settings.yml"
    settings.write_text("{}\n")
    return Shell(settings)


@pytest.fixture
def template(shell: Shell, tmp_path: Path) -> Path:
    """This template as it stands, in a folder without history, to be broken or released."""
    folder = tmp_path / "template-copy"
    listed = shell.git(
        "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT
    ).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():  # and not deleted since the last commit
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def release(shell: Shell, template: Path) -> Callable[[str], None]:
    """Commit the template and tag it."""

    def tag(version: str) -> None:
        shell.git("init", "--quiet", cwd=template)
        shell.git("add", "--all", cwd=template)
        shell.git("commit", "--quiet", "--message", version, cwd=template)
        shell.git("tag", version, cwd=template)

    return tag


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One folder for this run of pytest, whichever of its workers asks."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def projects(shared: Path, shell: Shell) -> Projects:
    return Projects(shared / "projects", shell)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    with Databases() as databases:
        yield databases
