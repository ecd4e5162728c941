"""Projects that were made from a release, and what `copier update` makes of them."""

import json
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path, PurePosixPath
from shutil import copytree
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING

import copier
import pytest
import yaml
from plumbum import local

from hooks.release import clone_with_releases

if TYPE_CHECKING:
    from tests.conftest import Shell

NONE: Mapping[str, str] = MappingProxyType({})

# The kind and the mode of a path, and what is in it when it is a file.
Entry = tuple[int, bytes]
Tree = dict[str, Entry]


class Projects:
    """A template with its releases, and what is made from it; all workers share the folder.

    Copier runs in this process, which saves most of a second each time. It takes the template and
    the environment as they are given here, and none of the settings of the person who runs this.
    """

    def __init__(self, folder: Path, shell: "Shell", template: Path | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.shell = shell
        self.template = template or built_once(folder / "template", clone_with_releases)

    def copy(self, version: str, answers: Mapping[str, str] = NONE) -> Path:
        """What `copier copy` makes, to be looked at and not to be changed: it is made only once."""

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

    def start(self, folder: Path, version: str, answers: Mapping[str, str] = NONE) -> Path:
        """A project as its owner has it: the copy, committed."""
        copytree(self.copy(version, answers), folder)
        self.shell.git("init", "--quiet", cwd=folder)
        self.commit(folder)
        return folder

    def commit(self, project: Path) -> None:
        self.shell.git("add", "--all", cwd=project)
        self.shell.git("commit", "--quiet", "--message", "Mine", cwd=project)

    def update(self, project: Path, answers: Mapping[str, str] = NONE) -> None:
        """`copier update --defaults --data …`, to the newest version; fails when it conflicts."""
        with local.env(**self.shell.environment):
            copier.run_update(
                project,
                data=dict(answers),
                settings=copier.Settings(),
                defaults=True,
                overwrite=True,
                quiet=True,
            )
        # Copier ends well nevertheless; git knows.
        if self.shell.git("ls-files", "--unmerged", cwd=project):
            conflicts = self.shell.git("diff", "--diff-filter=U", cwd=project)
            pytest.fail(f"conflicts:\n{conflicts}", pytrace=False)

    def questionnaire(self, version: str) -> Path:
        """A folder with the version's copier.yml and nothing else."""

        def build(folder: Path) -> None:
            folder.mkdir()
            text = self.shell.git("show", f"{version}:copier.yml", cwd=self.template)
            (folder / "copier.yml").write_text(text, "utf-8")

        return built_once(self.folder / f"questionnaire-{version}", build)


def built_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Build a folder unless another worker has; two at once both build, and the first is kept."""
    if not folder.exists():
        with TemporaryDirectory(dir=folder.parent) as own:
            build(Path(own, "built"))
            with suppress(OSError):
                Path(own, "built").rename(folder)
    return folder


def recorded(project: Path) -> dict[str, str]:
    """The answers that the project's answers file holds."""
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    return {name: value for name, value in answers.items() if not name.startswith("_")}


def tree(folder: Path) -> Tree:
    """Every file and folder but git's own."""
    return {
        path.relative_to(folder).as_posix(): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
        if path.relative_to(folder).parts[0] != ".git"
    }


def expect_same(project: Path, copy: Path) -> None:
    """Fail, with what differs, unless both have the same paths, modes and bytes.

    Nothing else may be there: no file or folder of another variant, no `*.rej` and no `*.orig`.
    """
    expect_tree(tree(project), tree(copy))


def expect_merged(updated: Tree, before: Tree, old: Tree, new: Tree) -> None:
    """Fail, with what differs, unless an update has kept what its owner did and taken all else.

    The project came from the release that is `old`. Nothing else may be there, as above, and
    nothing new in a folder that the owner has deleted.
    """
    deleted = old.keys() - before.keys()
    merged = {
        path: merge(before.get(path), old.get(path), new.get(path))
        for path in before.keys() | old.keys() | new.keys()
        if deleted.isdisjoint(folder.as_posix() for folder in PurePosixPath(path).parents)
    }
    expect_tree(updated, {path: entry for path, entry in merged.items() if entry})


def merge(mine: Entry | None, old: Entry | None, new: Entry | None) -> Entry | None:
    """What the newest release should make of a path; None where there should be nothing."""
    if mine == old:
        return new
    if mine is None or old is None or new is None or new == old:
        return mine
    # Git goes by the three files; Copier has a patch of its own, for which a line may do that looks
    # like the right one.
    with TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("mine", "old", "new")]
        for file, (_mode, content) in zip(files, (mine, old, new), strict=True):
            file.write_bytes(content)
        # A bad end is a conflict.
        done = subprocess.run(
            ["git", "merge-file", "--stdout", *files], capture_output=True, check=True
        )
        return mine[0], done.stdout


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
    # With the ends of the lines, which are part of what is compared.
    return [repr(line)[1:-1] for line in content.decode(errors="backslashreplace").splitlines(True)]
