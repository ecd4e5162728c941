"""The page "Another store in this service": its example is typed into a service, and works."""

import os
import shutil
from pathlib import Path

from hooks.check import CACHES
from hooks.render import render
from hooks.service import FOREIGN
from tests.conftest import Shell
from tests.documentation import DOCS, Terminal, blocks

PAGE = DOCS / "another-store.md"


def test_the_example_of_another_store_works(shell: Shell, folder: Path) -> None:
    assert shutil.which("redis-server"), "redis-server is missing: apt-get install redis-server"
    render({}, folder / "service")
    environment = {
        name: value for name, value in shell.environment.items() if not FOREIGN.fullmatch(name)
    }
    environment["PATH"] += os.pathsep + str(Path(os.environ.get("UV", "uv")).parent)
    environment["MYPY_CACHE_DIR"] = str(CACHES / "another-store")  # most time goes to packages
    with Terminal(folder / "service", environment) as terminal:
        for block in blocks(PAGE):
            if not block.reason_not_to_run:
                terminal.do(block)
