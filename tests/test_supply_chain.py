"""Code of others that runs here and in services: pinned, updated, audited, with few rights."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from hooks.render import render
from hooks.variants import ROOT, Variant, questions, variants

FOLDERS = [ROOT / ".github", ROOT / "template" / ".github"]
here_and_in_services = pytest.mark.parametrize("folder", FOLDERS, ids=["here", "service"])


def workflow(folder: Path) -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load((folder / "workflows" / "ci.yml").read_text("utf-8"))
    return document


@here_and_in_services
def test_zizmor_finds_nothing(folder: Path) -> None:
    done = subprocess.run(
        ["zizmor", "--offline", "--no-progress", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@here_and_in_services
def test_actions_are_pinned_by_commit(folder: Path) -> None:
    text = (folder / "workflows" / "ci.yml").read_text("utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert used
    assert [use for use in used if not re.fullmatch(r"\S+@[0-9a-f]{40} # v[0-9.]+", use)] == []


def test_actions_have_the_same_versions_here_and_in_services() -> None:
    here, service = (
        set(re.findall(r"uses: (.*)", (folder / "workflows" / "ci.yml").read_text("utf-8")))
        for folder in FOLDERS
    )
    assert here == service


@here_and_in_services
def test_workflows_also_run_on_a_schedule(folder: Path) -> None:
    # YAML 1.1 reads `on` as true.
    assert workflow(folder)[True]["schedule"]


@here_and_in_services
def test_updates_are_proposed_a_week_after_their_release(folder: Path) -> None:
    dependabot = yaml.safe_load((folder / "dependabot.yml").read_text("utf-8"))
    assert all(update["cooldown"]["default-days"] >= 7 for update in dependabot["updates"])


def test_pre_commit_hooks_are_pinned_by_commit() -> None:
    config = yaml.safe_load((ROOT / "template" / ".pre-commit-config.yaml").read_text("utf-8"))
    revisions = [repo["rev"] for repo in config["repos"] if repo["repo"] != "local"]
    assert [each for each in revisions if not re.fullmatch("[0-9a-f]{40}", each)] == []


def test_the_lowest_versions_are_tested_here_and_in_services() -> None:
    here, service = (workflow(folder)["jobs"]["lowest"] for folder in FOLDERS)
    assert any("--lowest" in step.get("run", "") for step in here["steps"])
    assert service["env"]["UV_RESOLUTION"] == "lowest-direct"


def test_services_are_tested_on_each_python_that_they_allow() -> None:
    service = workflow(ROOT / "template" / ".github")["jobs"]["test"]
    assert service["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]


def test_images_of_services_have_a_list_of_what_is_in_them() -> None:
    steps = workflow(ROOT / "template" / ".github")["jobs"]["image"]["steps"]
    assert any("buildx build --sbom=true" in step.get("run", "") for step in steps)


every_variant = pytest.mark.parametrize("variant", variants(), ids=lambda variant: variant.name)


@every_variant
def test_containers_have_few_rights(tmp_path: Path, variant: Variant) -> None:
    render(variant.answers, tmp_path / "service")
    compose = yaml.safe_load((tmp_path / "service" / "compose.yaml").read_text("utf-8"))
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        # Only the image of Postgres writes to its file system.
        assert service.get("read_only") or name == "database"


@every_variant
def test_requirements_have_a_lower_bound_and_are_refused_as_slugs(
    tmp_path: Path, variant: Variant
) -> None:
    render(variant.answers, tmp_path / "service")
    project = tomllib.loads((tmp_path / "service" / "pyproject.toml").read_text("utf-8"))
    groups = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    groups += project["project"]["optional-dependencies"].values()
    requirements = [Requirement(each) for group in groups for each in group]

    assert [each for each in requirements if ">=" not in str(each.specifier)] == []
    refused = re.findall("'([a-z0-9-]+)'", questions()["project_slug"]["validator"])
    assert {each.name for each in requirements} - set(refused) == set()
