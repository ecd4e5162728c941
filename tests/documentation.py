"""Pages of the documentation: their blocks of code, and a terminal that does what they say."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import uuid4

from markdown_it import MarkdownIt

from hooks.check import free_port
from hooks.service import Service, end
from hooks.variants import ROOT

DOCS = ROOT / "docs"
# Before a block that cannot run here; the reason follows.
NOT_RUN = "<!-- not run: "
PORT = "8000"  # of the pages


@dataclass(frozen=True)
class Block:
    """A fenced block: its language or directive, its text, and where it is."""

    kind: str
    text: str
    place: str
    reason_not_to_run: str = ""

    @property
    def options(self) -> dict[str, str]:
        """The options of a directive, such as `:caption: app/books/schemas.py`."""
        return dict(re.findall(r"^:(\w+): *(.*)$", self.text, re.MULTILINE))

    @property
    def body(self) -> str:
        """The text without options."""
        return re.sub(r"\A(?::\w+:.*\n)+\n?", "", self.text)

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """Each command of a console, with the lines that it prints; ` \\` continues a line."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            elif found[-1][0].endswith("\\"):
                found[-1] = (f"{found[-1][0]}\n{line}", [])
            else:
                found[-1][1].append(line)
        return found


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, also those in a tab or a list."""
    return list(blocks_in(page.read_text("utf-8"), page.relative_to(ROOT).as_posix(), 1))


def blocks_in(text: str, path: str, first_line: int) -> Iterator[Block]:
    comment = ""
    for token in MarkdownIt().parse(text):
        if token.type == "fence":
            assert token.map
            line = first_line + token.map[0]
            reason = comment.removeprefix(NOT_RUN).removesuffix("-->").strip()
            yield Block(token.info.strip(), token.content, f"{path}:{line}", reason)
        starts_reason = token.type == "html_block" and token.content.startswith(NOT_RUN)
        comment = token.content.strip() if starts_reason else ""


class Terminal:
    """A shell, and servers that it starts. What a command prints must be what the page shows."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self.port = str(free_port())
        self.servers = ExitStack()
        self.shell = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.servers.close()
        end(self.shell)
        for pipe in (self.shell.stdin, self.shell.stdout):
            if pipe:
                pipe.close()

    def do(self, block: Block) -> None:
        """Run a console, apply a diff, or write a file with a caption. Raises AssertionError."""
        if block.kind == "console":
            for command, expected in block.commands:
                self.type(command, expected, block.place)
        elif block.kind == "diff":
            self.run(f"git apply - <<'END'\n{block.text}END", block.place)
        else:
            path = block.options["caption"]
            self.run(f"cat > {path} <<'END'\n{block.body}END", block.place)

    def type(self, command: str, expected: list[str], place: str) -> None:
        if command.startswith(("uv run app dev", "uv run app serve")):
            self.serve(command, place)
            return
        printed = self.run(command.replace(PORT, self.port), place)
        lines = iter(printed.replace(self.port, PORT).splitlines())
        for line in expected:
            # `…` stands for whatever differs each time, and alone for any number of lines.
            pattern = re.escape(line).replace("…", ".*")
            assert line == "…" or any(re.fullmatch(pattern, each.rstrip()) for each in lines), (
                f"{place}: `{command}` does not print {line!r}, or not in this order:\n{printed}"
            )

    def run(self, command: str, place: str) -> str:
        """Run a command in the shell and return what it prints."""
        assert self.shell.stdin
        assert self.shell.stdout
        mark = uuid4().hex
        self.shell.stdin.write(f"{{ {command}\n}} </dev/null; echo {mark} $?\n")
        self.shell.stdin.flush()
        printed = ""
        for line in self.shell.stdout:
            before, found, status = line.partition(mark)
            printed += before
            if found:
                assert status.strip() == "0", f"{place}: `{command}` failed:\n{printed}"
                return printed
        raise AssertionError(f"{place}: `{command}` ended the shell:\n{printed}")

    def serve(self, command: str, place: str) -> None:
        """Start a server in place of the one before; it runs until the session ends."""
        self.servers.close()
        service = Service(Path(self.run("pwd", place).strip()))
        arguments = command.split()[1:]
        if "--port" in arguments:
            arguments[arguments.index("--port") + 1] = self.port
        else:
            arguments += ["--port", self.port]
        settings = self.exported(place)
        base_url = f"http://127.0.0.1:{self.port}"
        self.servers.enter_context(
            service.serving(*arguments, base_url=base_url, settings=settings)
        )

    def exported(self, place: str) -> dict[str, str]:
        """Return the variables that the page has exported."""
        lines = self.run("env -0 | tr '\\n\\0' ' \\n'", place).splitlines()
        now = dict(line.split("=", 1) for line in lines if "=" in line)
        return {
            name: value
            for name, value in now.items()
            if self.environment.get(name) != value and name not in {"OLDPWD", "PWD", "SHLVL", "_"}
        }
