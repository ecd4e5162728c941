"""Releases of the template: which there were, a clone that has them as tags, and the next one."""

import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from packaging.version import InvalidVersion, Version

from hooks.variants import ROOT

# What the files as they are now are called in a clone: Copier takes the highest tag for the last
# release, and this one is above any that there will be.
NEXT = "9999"


class ReleaseError(Exception):
    """The message is one line that says what to do."""


def record(template: Path = ROOT) -> Path:
    return template / "tests" / "releases.toml"


def releases(template: Path = ROOT) -> dict[str, str]:
    """Every released version and its commit, the oldest first."""
    recorded: dict[str, str] = tomllib.loads(record(template).read_text("utf-8"))
    return {version: recorded[version] for version in sorted(recorded, key=Version)}


def clone_with_releases(folder: Path, template: Path = ROOT) -> None:
    """Clone the template: a tag for each release, and the files as they are now as `NEXT`.

    What is not committed is in it as well, and nothing changes in the repository that is cloned.
    """
    # Its own tags are left out, since not every clone of the template has them.
    clone = ("clone", "--quiet", "--no-local", "--no-tags", "--no-checkout")
    git(*clone, str(template), str(folder), cwd=template)
    git("--git-dir", str(folder / ".git"), "--work-tree", ".", "add", "--all", cwd=template)
    identity = ("-c", "user.name=hooks", "-c", "user.email=hooks@example.com")
    commit = ("commit", "--quiet", "--allow-empty", "--no-verify", "--no-gpg-sign")
    git(*identity, *commit, "--message", NEXT, cwd=folder)
    git("reset", "--quiet", "--hard", cwd=folder)
    for version, commit_id in {**releases(template), NEXT: "HEAD"}.items():
        try:
            git("tag", "--no-sign", version, commit_id, cwd=folder)
        except ReleaseError:
            raise ReleaseError(
                f"The commit of {version}, {commit_id}, is not in this clone: "
                "fetch all of the history (git fetch --unshallow)."
            ) from None


def release(version: str, template: Path = ROOT) -> None:
    """Tag the commit that is checked out, and write it down for the next commit.

    A commit cannot hold its own name: the line in `tests/releases.toml` is one commit younger than
    the release. Until it is committed the tree is not clean, and there is no other release.
    """
    refuse_unless_next(version, template)
    if git("status", "--porcelain", cwd=template):
        raise ReleaseError("There are changes: commit them first, or put them away (git stash -u).")
    heading = f"## [{version}] - "
    if not re.search(rf"^{re.escape(heading)}\d", changelog(template), re.MULTILINE):
        today = datetime.now(UTC).date()
        raise ReleaseError(f"CHANGELOG.md has no {version}: give it a heading, {heading}{today}")
    commit_id = git("rev-parse", "HEAD", cwd=template).strip()
    tests = [sys.executable, "-m", "pytest", "tests/test_updates.py"]
    if subprocess.run(tests, cwd=template, check=False).returncode != 0:
        raise ReleaseError("An update fails, as shown above: repair it before it is released.")
    git("tag", "--annotate", "--message", f"Release {version}", version, commit_id, cwd=template)
    with record(template).open("a", encoding="utf-8") as lines:
        lines.write(f'"{version}" = "{commit_id}"\n')


def refuse_unless_next(version: str, template: Path) -> None:
    number = version_of(version)
    # Copier offers its users no pre-release; and of all ways to write a number, one is enough.
    if number is None or number.epoch or len(number.release) != 3 or number.base_version != version:
        raise ReleaseError(f"{version} is not the number of a release: type one such as 0.2.0.")
    recorded = releases(template)
    for tag, commit_id in version_tags(template).items():
        if recorded.get(tag) != commit_id:
            raise ReleaseError(
                f'Tag {tag} is not in tests/releases.toml: add the line "{tag}" = "{commit_id}".'
            )
    last = list(recorded)[-1]
    if number <= Version(last):
        raise ReleaseError(f"{last} is released: type a number above it.")


def version_tags(template: Path = ROOT) -> dict[str, str]:
    """The tags that Copier takes for versions, and the commit of each."""
    return {
        tag: git("rev-parse", f"{tag}^{{commit}}", cwd=template).strip()
        for tag in git("tag", "--list", cwd=template).split()
        if version_of(tag)
    }


def version_of(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def changelog(template: Path = ROOT) -> str:
    return (template / "CHANGELOG.md").read_text("utf-8")


def git(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
