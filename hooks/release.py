"""The releases of the template, a clone that has them as tags, and the next release."""

import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from packaging.version import InvalidVersion, Version

from hooks.variants import ROOT

# The tag of the current files in a clone. Copier takes the highest tag: no release is above it.
NEXT = "9999"


class ReleaseError(Exception):
    """Says in one line what to do."""


def record(template: Path = ROOT) -> Path:
    return template / "tests" / "releases.toml"


def releases(template: Path = ROOT) -> dict[str, str]:
    """Return every released version and its commit, oldest first."""
    recorded: dict[str, str] = tomllib.loads(record(template).read_text("utf-8"))
    return {version: recorded[version] for version in sorted(recorded, key=Version)}


def clone_with_releases(folder: Path, template: Path = ROOT) -> None:
    """Clone the template, with a tag for each release and the current files as `NEXT`.

    Includes what is not committed, and changes nothing in the repository. Raises ReleaseError when
    the commit of a release is missing.
    """
    # Without its own tags, because not every clone of the template has them.
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
    """Tag the current commit and add it to `tests/releases.toml`, or raise ReleaseError.

    A commit cannot contain its own id, so that line is one commit younger than the release. Until
    it is committed, the tree is not clean, and another release is refused.
    """
    refuse_unless_next(version, template)
    if git("status", "--porcelain", cwd=template):
        raise ReleaseError("There are changes: commit them first, or stash them (git stash -u).")
    heading = f"## [{version}] - "
    if not re.search(rf"^{re.escape(heading)}\d", changelog(template), re.MULTILINE):
        today = datetime.now(UTC).date()
        raise ReleaseError(f"CHANGELOG.md has no {version}: give it a heading, {heading}{today}")
    commit_id = git("rev-parse", "HEAD", cwd=template).strip()
    tests = [sys.executable, "-m", "pytest", "tests/test_updates.py"]
    if subprocess.run(tests, cwd=template, check=False).returncode != 0:
        raise ReleaseError("An update fails, as shown above: fix it before the release.")
    git("tag", "--annotate", "--message", f"Release {version}", version, commit_id, cwd=template)
    with record(template).open("a", encoding="utf-8") as lines:
        lines.write(f'"{version}" = "{commit_id}"\n')


def refuse_unless_next(version: str, template: Path) -> None:
    number = version_of(version)
    # Copier offers no pre-releases to its users; and one way to write a version is enough.
    if number is None or number.epoch or len(number.release) != 3 or number.base_version != version:
        raise ReleaseError(f"{version} is not a release: type a version such as 0.2.0.")
    recorded = releases(template)
    for tag, commit_id in version_tags(template).items():
        if recorded.get(tag) != commit_id:
            raise ReleaseError(
                f'Tag {tag} is not in tests/releases.toml: add the line "{tag}" = "{commit_id}".'
            )
    last = list(recorded)[-1]
    if number <= Version(last):
        raise ReleaseError(f"{last} is released: type a version above it.")


def version_tags(template: Path = ROOT) -> dict[str, str]:
    """Return the tags that Copier takes for versions, and their commits."""
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
