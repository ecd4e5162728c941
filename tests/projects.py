"""Projects made from a release, and what `copier update` makes of them."""

import json
import re
import subprocess
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path, PurePosixPath
from shutil import copytree
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import copier
import pytest
import yaml
from plumbum import local

from hooks.release import NEXT, clone_with_releases, releases
from hooks.variants import ROOT, Variant, axes

if TYPE_CHECKING:
    from tests.conftest import Shell

NONE: Mapping[str, Any] = MappingProxyType({})

# The mode of a path, which includes its kind, and its content if it is a file.
Entry = tuple[int, bytes]
Tree = dict[str, Entry]


class Projects:
    """A template with its releases, and projects made from it, in a folder that workers share.

    Copier runs in this process, which saves most of a second each time, without the settings of the
    person who runs the tests.
    """

    def __init__(self, folder: Path, shell: "Shell", template: Path | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.shell = shell
        self.template = template or built_once(folder / "template", clone_with_releases)

    def copy(self, version: str, answers: Mapping[str, Any] = NONE) -> Path:
        """Return what `copier copy` makes. It is made once: do not change it."""

        def build(folder: Path) -> None:
            with local.env(**self.shell.environment):
                copier.run_copy(
                    str(self.template),
                    folder,
                    data=dict(answers),
                    vcs_ref=version,
                    settings=copier.Settings(),
                    defaults=True,
                    quiet=True,
                )

        key = json.dumps([version, sorted(answers.items())])
        return built_once(self.folder / sha256(key.encode()).hexdigest()[:16], build)

    def start(self, folder: Path, version: str, answers: Mapping[str, Any] = NONE) -> Path:
        """Start a project as its owner does: copy and commit."""
        copytree(self.copy(version, answers), folder)
        self.shell.git("init", "--quiet", cwd=folder)
        self.commit(folder)
        return folder

    def commit(self, project: Path) -> None:
        self.shell.git("add", "--all", cwd=project)
        self.shell.git("commit", "--quiet", "--message", "Mine", cwd=project)

    def update(
        self,
        project: Path,
        answers: Mapping[str, Any] = NONE,
        version: str | None = None,
        rewritten: Collection[str] = (),
    ) -> None:
        """Run `copier update --defaults --data …`; fail on a conflict. None is the newest.

        A conflict in a file that the owner knows as rewritten ends with the lines of the update.
        """
        with local.env(**self.shell.environment):
            copier.run_update(
                project,
                data=dict(answers),
                vcs_ref=version,
                settings=copier.Settings(),
                defaults=True,
                overwrite=True,
                quiet=True,
            )
        for path in rewritten:
            file = project / path
            file.write_text(with_the_new_lines(file.read_text("utf-8")), "utf-8")
            self.shell.git("add", path, cwd=project)
        # Copier exits with 0 even then.
        if self.shell.git("ls-files", "--unmerged", cwd=project):
            conflicts = self.shell.git("diff", "--diff-filter=U", cwd=project)
            pytest.fail(f"conflicts:\n{conflicts}", pytrace=False)

    def before_the_last_migration(self, answers: Mapping[str, Any]) -> str:
        """Return the newest release that lacks a migration of the template."""

        def migrations(version: str) -> set[str]:
            files = self.copy(version, answers).glob("migrations/versions/*.py")
            return {file.name for file in files}

        return [each for each in releases() if migrations(each) != migrations(NEXT)][-1]

    def questionnaire(self, version: str) -> Path:
        """Return a folder with nothing but the version's copier.yml."""

        def build(folder: Path) -> None:
            folder.mkdir()
            text = self.shell.git("show", f"{version}:copier.yml", cwd=self.template)
            (folder / "copier.yml").write_text(text, "utf-8")

        return built_once(self.folder / f"questionnaire-{version}", build)


def in_the_half(variant: Variant) -> bool:
    """Tell whether a variant is in the half of them in which any two choices meet.

    Each variant that differs in one answer is in the other half.
    """
    choices = axes()
    return sum(choices[axis].index(value) for axis, value in variant.answers.items()) % 2 == 0


def built_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Build a folder unless a worker has. If two build it at once, the first one is kept."""
    if not folder.exists():
        with TemporaryDirectory(dir=folder.parent) as own:
            build(Path(own, "built"))
            with suppress(OSError):
                Path(own, "built").rename(folder)
    return folder


def recorded(project: Path) -> dict[str, Any]:
    """Return the answers in the project's answers file."""
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    return {name: value for name, value in answers.items() if not name.startswith("_")}


def skipped() -> list[str]:
    """Return the paths that no update touches where they exist."""
    settings = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
    return [pattern.removeprefix("/") for pattern in settings["_skip_if_exists"]]


def tree(folder: Path) -> Tree:
    """Return all files and folders except those of git."""
    return {
        path.relative_to(folder).as_posix(): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
        if path.relative_to(folder).parts[0] != ".git"
    }


def expect_updated(project: Path, started: Path, copy: Path) -> None:
    """Fail with a diff unless the project has exactly the paths, modes and bytes of the copy.

    So there is no file of another variant, no `*.rej` and no `*.orig`. Files that updates skip must
    be as the project started with them.
    """
    then = tree(started)
    expect_tree(
        tree(project), tree(copy) | {path: then[path] for path in skipped() if path in then}
    )


def expect_merged(
    updated: Tree, before: Tree, old: Tree, new: Tree, rewritten: Collection[str] = ()
) -> None:
    """Fail with a diff unless an update kept the owner's changes and took everything else.

    The project came from the release `old`. As above, there may be nothing else, and nothing new in
    a folder that the owner has deleted.
    """
    deleted = old.keys() - before.keys()
    merged = {
        path: merge(before.get(path), old.get(path), new.get(path))
        for path in before.keys() | old.keys() | new.keys()
        if deleted.isdisjoint(folder.as_posix() for folder in PurePosixPath(path).parents)
    } | {path: before.get(path, new[path]) for path in skipped() if path in new}
    for path in rewritten:
        if entry := merged[path]:
            merged[path] = entry[0], with_the_new_lines(entry[1].decode()).encode()
    conflicts = [
        f"{path}:\n{lines}" for path, entry in merged.items() if (lines := conflict(entry))
    ]
    assert not conflicts, "\n".join(conflicts)
    expect_tree(updated, {path: entry for path, entry in merged.items() if entry})


def merge(mine: Entry | None, old: Entry | None, new: Entry | None) -> Entry | None:
    """Return what an update should make of a path; None if it should not exist."""
    if mine == old:
        return new
    if mine is None or old is None or new is None or new == old:
        return mine
    # Git merges the three files. Copier applies a patch, which may fit at a line that only looks
    # right.
    with TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("mine", "old", "new")]
        for file, (_mode, content) in zip(files, (mine, old, new), strict=True):
            file.write_bytes(content)
        done = subprocess.run(
            ["git", "merge-file", "--stdout", *files], capture_output=True, check=False
        )
        return mine[0], done.stdout


def with_the_new_lines(text: str) -> str:
    """Resolve each conflict in a file: take the lines after the update."""
    conflicts = re.compile(r"^<<<<<<< .*?^=======\n(.*?)^>>>>>>> .*?\n", re.DOTALL | re.MULTILINE)
    return conflicts.sub(r"\1", text)


def conflict(merged: Entry | None) -> str:
    """Return the conflicts in a merged file."""
    text = merged[1].decode(errors="replace") if merged else ""
    return "".join(re.findall(r"^<<<<<<< .*?^>>>>>>> .*?\n", text, re.DOTALL | re.MULTILINE))


def expect_tree(found: Tree, wanted: Tree) -> None:
    report = [f"should not be there: {path}" for path in sorted(found.keys() - wanted.keys())]
    report += [f"is missing: {path}" for path in sorted(wanted.keys() - found.keys())]
    for path in sorted(found.keys() & wanted.keys()):
        if found[path][0] != wanted[path][0]:
            report.append(f"has another mode: {path}: {found[path][0]:o}, not {wanted[path][0]:o}")
        report += unified_diff(
            lines(wanted[path]),
            lines(found[path]),
            f"wanted/{path}",
            f"updated/{path}",
            lineterm="",
        )
    if report:
        pytest.fail("\n".join(report), pytrace=False)


def lines(entry: Entry) -> list[str]:
    _mode, content = entry
    # Keep line ends: they are compared, too.
    return [repr(line)[1:-1] for line in content.decode(errors="backslashreplace").splitlines(True)]
