"""`hooks release`, and the clone with all releases that the tests of updates use."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hooks.cli import app
from hooks.release import (
    NEXT,
    ReleaseError,
    changelog,
    clone_with_releases,
    record,
    releases,
    version_tags,
)
from hooks.variants import ROOT
from tests.conftest import Shell


@pytest.fixture
def repository(template: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the template that is ready for 0.2.0, with quick tests of updates."""
    for name, value in shell.environment.items():
        monkeypatch.setenv(name, value)
    shell.git("init", "--quiet", cwd=template)
    commit(template, shell)
    head = shell.git("rev-parse", "HEAD", cwd=template).strip()
    record(template).write_text(f'"0.1.0" = "{head}"\n', "utf-8")
    (template / "CHANGELOG.md").write_text("## [0.2.0] - 2026-12-01\n\n## [0.1.0] - 2026-11-21\n")
    (template / "tests" / "test_updates.py").write_text("def test_updates() -> None: ...\n")
    commit(template, shell)
    return template


def commit(repository: Path, shell: Shell) -> None:
    shell.git("add", "--all", cwd=repository)
    shell.git("commit", "--quiet", "--message", "Work", cwd=repository)


def hooks_release(version: str, repository: Path) -> Result:
    return CliRunner().invoke(app, ["--template", str(repository), "release", version])


def test_a_release_is_tagged_and_recorded(repository: Path, shell: Shell) -> None:
    head = shell.git("rev-parse", "HEAD", cwd=repository).strip()
    done = hooks_release("0.2.0", repository)
    assert done.exit_code == 0, done.output
    assert shell.git("cat-file", "-t", "0.2.0", cwd=repository) == "tag\n"
    assert shell.git("rev-parse", "0.2.0^{commit}", cwd=repository).strip() == head
    assert releases(repository)["0.2.0"] == head
    assert shell.git("status", "--porcelain", cwd=repository) == " M tests/releases.toml\n"
    # Following its advice is enough for the next release.
    assert hooks_release("0.3.0", repository).output.startswith("There are changes: ")
    commit(repository, shell)
    assert (
        hooks_release("0.2.0", repository).output == "0.2.0 is released: type a version above it.\n"
    )
    assert hooks_release("0.3.0", repository).output.startswith("CHANGELOG.md has no 0.3.0: ")


@pytest.mark.parametrize(
    "version", ["v0.2.0", "0.2", "0.2.0rc1", "0.2.0.post1", "1!0.2.0", "0.02.0", "next"]
)
def test_versions_that_are_not_plain_are_refused(repository: Path, version: str) -> None:
    refuse(repository, version, "is not a release: type a version such as 0.2.0.")


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9"])
def test_a_version_that_is_not_above_the_last_is_refused(repository: Path, version: str) -> None:
    refuse(repository, version, "0.1.0 is released: type a version above it.")


def test_uncommitted_changes_are_refused(repository: Path) -> None:
    (repository / "template" / "NEW.md").write_text("New.\n")
    refuse(repository, "0.2.0", "There are changes: commit them first")


def test_a_version_that_changelog_lacks_is_refused(repository: Path) -> None:
    refuse(repository, "0.2.1", "give it a heading, ## [0.2.1] - 2")


def test_an_unrecorded_tag_is_refused(repository: Path, shell: Shell) -> None:
    shell.git("tag", "0.1.1", cwd=repository)
    refuse(repository, "0.2.0", 'add the line "0.1.1" = "')


def test_failing_updates_are_refused(repository: Path, shell: Shell) -> None:
    (repository / "tests" / "test_updates.py").write_text("def test_updates(): assert 0\n")
    commit(repository, shell)
    refuse(repository, "0.2.0", "An update fails, as shown above: ")


def refuse(repository: Path, version: str, message: str) -> None:
    def state() -> tuple[str, dict[str, str]]:
        return record(repository).read_text("utf-8"), version_tags(repository)

    before = state()
    result = hooks_release(version, repository)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert state() == before


# The releases of this template ----------------------------------------------------------------


@pytest.mark.parametrize(("version", "commit_id"), releases().items())
def test_releases_are_in_the_history_and_in_the_changelog(version: str, commit_id: str) -> None:
    assert re.fullmatch("[0-9a-f]{40}", commit_id)
    ancestor = ["git", "merge-base", "--is-ancestor", commit_id, "HEAD"]
    assert subprocess.run(ancestor, cwd=ROOT, check=False).returncode == 0
    assert f"\n## [{version}] - " in changelog()


def test_the_package_has_the_version_of_the_changelog() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    newest = re.search(r"^## \[(\d.*?)\] - ", changelog(), re.MULTILINE)
    assert newest
    assert newest[1] == project["version"]


def test_every_tag_is_recorded() -> None:
    assert version_tags().items() - releases().items() == set()


# The clone ------------------------------------------------------------------------------------


def test_a_clone_has_all_releases_and_uncommitted_files(
    repository: Path, shell: Shell, tmp_path: Path
) -> None:
    shell.git("tag", "8.0.0", cwd=repository)  # not recorded: not a release
    (repository / "template" / "NEW.md").write_text("New.\n")
    (repository / "README.md").write_text("Changed.\n")
    (repository / "LICENSE").unlink()
    (repository / ".venv").mkdir()
    (repository / ".venv" / "ignored").touch()

    def state() -> list[str]:
        commands = (
            "status --porcelain",
            "rev-parse HEAD",
            "show-ref",
            "count-objects",
            "stash list",
        )
        return [shell.git(*command.split(), cwd=repository) for command in commands]

    before = state()
    clone = tmp_path / "clone"
    clone_with_releases(clone, repository)

    assert state() == before
    assert shell.git("tag", "--list", cwd=clone).split() == ["0.1.0", NEXT]
    released = shell.git("rev-parse", "0.1.0", cwd=clone).strip()
    assert releases(repository) == {"0.1.0": released}
    changes = shell.git("diff", "--name-status", f"{NEXT}^", NEXT, cwd=clone).splitlines()
    assert changes == ["D\tLICENSE", "M\tREADME.md", "A\ttemplate/NEW.md"]
    assert shell.git("status", "--porcelain", cwd=clone) == ""
    assert (clone / "README.md").read_text() == "Changed.\n"


def test_a_shallow_clone_says_what_to_do(repository: Path, shell: Shell, tmp_path: Path) -> None:
    shell.git("clone", "--quiet", "--depth=1", repository.as_uri(), "shallow", cwd=tmp_path)
    with pytest.raises(
        ReleaseError, match=r"^The commit of 0\.1\.0, .* \(git fetch --unshallow\)\.$"
    ):
        clone_with_releases(tmp_path / "clone", tmp_path / "shallow")
