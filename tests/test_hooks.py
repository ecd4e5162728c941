"""The command line of the hooks, as a developer and a workflow use it."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from itertools import product
from pathlib import Path
from shutil import rmtree
from time import sleep

import pytest
import yaml
from typer.testing import CliRunner, Result

from hooks.check import free_port
from hooks.cli import app
from hooks.service import UV, Service, end, is_ready
from hooks.variants import ROOT, variants

NAMES = [
    "-".join(each) + tenancy
    for each in product(("async", "sync"), ("postgres", "sqlite"), ("repository", "crud"))
    # Only Postgres is asked for tenants, and a name does not say that there are none.
    for tenancy in (("", "-rows") if "postgres" in each else ("",))
]

Hooks = Callable[..., Result]


@pytest.fixture
def hooks() -> Hooks:
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


def test_help_names_the_commands(hooks: Hooks) -> None:
    result = hooks("--help")
    assert result.exit_code == 0
    for word in ("variants", "matrix", "render", "check", "demo", "copier.yml"):
        assert word in result.stdout


def test_variants_lists_all(hooks: Hooks) -> None:
    result = hooks("variants")
    assert result.exit_code == 0
    assert [name for name in NAMES if name not in result.stdout] == []


def test_variants_as_json_have_their_answers(hooks: Hooks) -> None:
    listed = json.loads(hooks("variants", "--json").stdout)
    assert [each["variant"] for each in listed] == NAMES
    assert listed[0]["answers"] == {
        "concurrency": "async",
        "database": "postgres",
        "data_access": "repository",
    }


def test_variants_follow_copier_yml(hooks: Hooks, template: Path) -> None:
    with (template / "copier.yml").open("a") as questions:
        questions.write("\nqueue:\n  choices: [none, redis]\n  default: none\n")
    listed = json.loads(hooks("--template", template, "variants", "--json").stdout)
    assert [each["variant"] for each in listed] == [
        f"{name}-{queue}" for name in NAMES for queue in ("none", "redis")
    ]


def test_matrix_is_one_line_of_json(hooks: Hooks) -> None:
    result = hooks("matrix")
    assert result.exit_code == 0
    # `GITHUB_OUTPUT` needs one line.
    assert result.stdout.count("\n") == 1
    ((key, jobs),) = json.loads(result.stdout).items()
    assert key == "include"
    assert [(job["variant"], json.loads(job["answers"])) for job in jobs] == [
        (variant.name, variant.answers) for variant in variants()
    ]


def test_render_takes_data(hooks: Hooks, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "shop"
    result = hooks("render", "sync-sqlite-crud", folder, "--data", "project_name=A = B")
    assert result.exit_code == 0, result.output
    answers = yaml.safe_load((folder / ".copier-answers.yml").read_text("utf-8"))
    assert answers["project_name"] == "A = B"
    assert answers["concurrency"] == "sync"
    assert (folder / "app" / "items" / "crud.py").exists()
    assert not (folder / "app" / "items" / "repository.py").exists()


def test_render_takes_resources(hooks: Hooks, tmp_path: Path) -> None:
    command = "books title:text sold:boolean --access public --soft-delete"
    result = hooks("render", "sync-sqlite-crud", tmp_path / "shop", "--resource", command)
    assert result.exit_code == 0, result.output
    answers = yaml.safe_load((tmp_path / "shop" / ".copier-answers.yml").read_text("utf-8"))
    assert answers["resources"]["books"] == {
        "access": "public",
        "fields": ["title:text", "sold:boolean"],
        "singular": "book",
        "soft_delete": True,
    }
    assert (tmp_path / "shop" / "app" / "books" / "crud.py").exists()


def test_render_includes_uncommitted_and_excludes_ignored_files(
    hooks: Hooks, template: Path, release: Callable[[str], None], tmp_path: Path
) -> None:
    release("v0.1.0")
    (template / "template" / "NEW.md").write_text("Not committed.\n")
    (template / "template" / "app" / "__pycache__").mkdir()
    (template / "template" / "app" / "__pycache__" / "left.pyc").write_bytes(b"left")
    result = hooks("--template", template, "render", NAMES[0], tmp_path / "service")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "service" / "NEW.md").read_text() == "Not committed.\n"
    assert not (tmp_path / "service" / "app" / "__pycache__").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("render", "async-mysql-crud", "service"),
        ("check", "async-mysql-crud"),
        ("demo", "async-mysql-crud"),
    ],
)
def test_an_unknown_variant_is_refused_with_the_known_ones(
    hooks: Hooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = hooks(*command)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "async-mysql-crud" in result.stderr
    assert [name for name in NAMES if name not in result.stderr] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("projekt_name=Shop", "project_name"),  # Copier would ignore it
        ("project_name", "KEY=VALUE"),
        ("database=sqlite", "project_name"),  # an answer of the variant
        ("is_async=false", "project_name"),  # derived
        ("author_email=nobody", "ada@example.com"),
    ],
)
def test_render_refuses_bad_data_in_one_line(
    hooks: Hooks, tmp_path: Path, data: str, named: str
) -> None:
    result = hooks("render", NAMES[0], tmp_path / "service", "--data", data)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert named in result.stderr
    assert not (tmp_path / "service").exists()


def test_render_refuses_a_folder_that_is_not_empty(hooks: Hooks, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine\n")
    result = hooks("render", NAMES[0], tmp_path)
    assert result.exit_code == 2
    assert str(tmp_path) in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_service_inherits_no_setting_of_its_caller(
    hooks: Hooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = {"DATABASE_URL", "POOL_SIZE", "TEST_DATABASE_URL", "ADMIN_PASSWORD_FILE", "PGHOST"}
    foreign |= {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "PYTHONPATH"}
    for name in foreign:
        monkeypatch.setenv(name, "of the caller")
    monkeypatch.setenv("UV_CACHE_DIR", "of the machine")
    assert hooks("render", NAMES[0], tmp_path / "service").exit_code == 0
    environment = Service(tmp_path / "service").environment({"POOL_SIZE": "its own"})
    assert environment.keys() & foreign == {"POOL_SIZE"}
    assert environment["POOL_SIZE"] == "its own"
    assert environment["UV_CACHE_DIR"] == "of the machine"
    assert environment["PATH"] == os.environ["PATH"]


# test_variants.py runs `check` where it passes.


def test_check_shows_a_failure_and_keeps_its_folder(hooks: Hooks, template: Path) -> None:
    (template / "template" / "app" / "broken.py").write_text("x  =  1\n")
    result = hooks("--template", template, "check", "sync-sqlite-crud", "--json")
    assert result.exit_code == 1
    verdict = json.loads(result.stdout)
    assert verdict["ok"] is False
    (checked,) = verdict["variants"]
    assert checked["variant"] == "sync-sqlite-crud"
    assert list(checked["seconds"]) == ["render", "install", "format"]
    assert checked["failure"].startswith("$ uv run ruff format --check .\n")
    assert "app/broken.py" in checked["failure"]
    folder = Path(checked["folder"])
    assert (folder / "app" / "broken.py").exists()
    rmtree(folder)


def test_check_reports_each_variant(hooks: Hooks, template: Path) -> None:
    (template / "template" / "app" / "broken.py.jinja").write_text("{{ is_asink }}\n")
    result = hooks(
        "--template", template, "check", "sync-sqlite-crud", "async-sqlite-crud", "--jobs", "2"
    )
    assert result.exit_code == 1
    for name in ("sync-sqlite-crud", "async-sqlite-crud"):
        assert f"{name} failed: render" in result.stdout
    assert result.stdout.count("'is_asink' is undefined") == 2
    for line in result.stdout.splitlines():
        if line.startswith("Its folder: "):
            rmtree(line.removeprefix("Its folder: "))


def test_demo_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    port = free_port()
    demo = subprocess.Popen(
        [UV, "run", "hooks", "demo", "sync-sqlite-crud", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    try:
        for _ in range(1200):
            if is_ready(f"http://127.0.0.1:{port}"):
                break
            assert demo.poll() is None
            sleep(0.1)
        else:
            pytest.fail("the service does not become ready")
        (folder,) = tmp_path.glob("sync-sqlite-crud-*")
        # Ctrl-C: a terminal interrupts the whole process group.
        os.killpg(demo.pid, signal.SIGINT)
        demo.wait(30)
    finally:
        end(demo)
    assert not folder.exists()
    assert Service(tmp_path).processes() == []
