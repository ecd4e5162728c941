"""The manifests of a service: built by kustomize, valid for the API of Kubernetes, and linted."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hooks.render import render
from hooks.service import UV
from hooks.variants import variants

# One variant of each database: nothing else decides about the manifests.
VARIANTS = {variant.answers["database"]: variant for variant in variants()}
# The oldest version with the maintainers' support, and the newest with a schema.
VERSIONS = ["1.35", "1.37"]
CHECKOV = [UV, "tool", "run", "--quiet", "--from", "checkov>=3.3.30,<4", "checkov"]
# What only the owner can decide: the digest of an image, and secrets in files.
OWNERS = "CKV_K8S_43,CKV_K8S_35"
OLDEST = 27  # the first kubectl 1.x whose kustomize reads the patches of SQLite
MISSING = (
    f"kubectl 1.{OLDEST} or later is missing. Debian 13 has it: apt-get install "
    'kubernetes-client. On Debian 12, install it as "Install Tools" in the documentation of '
    "Kubernetes says, before the other one on the PATH."
)


@pytest.fixture(scope="module")
def kubectl() -> str:
    """Return the command, or fail with what to install."""
    if command := shutil.which("kubectl"):
        version = subprocess.check_output([command, "version", "--client", "--output", "json"])
        if int(json.loads(version)["clientVersion"]["minor"].rstrip("+")) >= OLDEST:
            return command
    pytest.fail(MISSING, pytrace=False)


@pytest.fixture(scope="module", params=VARIANTS)
def built(
    kubectl: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Build the manifests as `kubectl apply -k` does."""
    folder = tmp_path_factory.mktemp("kubernetes")
    render(VARIANTS[request.param].answers, folder / "service")
    command = [kubectl, "kustomize", str(folder / "service" / "deploy" / "kubernetes")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""  # no deprecation
    file = folder / f"{request.param}.yaml"
    file.write_text(done.stdout, "utf-8")
    return file


def kinds(built: Path) -> dict[str, dict[str, Any]]:
    """Return the objects, by their kind."""
    return {each["kind"]: each for each in yaml.safe_load_all(built.read_text("utf-8"))}


def is_postgres(built: Path) -> bool:
    return built.stem == "postgres"


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_valid(built: Path, version: str) -> None:
    command: list[str | Path] = ["kubernetes-validate", "--strict", "-k", f"{version}.0", built]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_linter_finds_nothing(built: Path) -> None:
    options = ["--framework", "kubernetes", "--compact", "--quiet", "--skip-download"]
    command: list[str | Path] = [*CHECKOV, "--file", built, *options, "--skip-check", OWNERS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_release_migrates_before_it_serves(built: Path) -> None:
    pod = kinds(built)["Deployment"]["spec"]["template"]["spec"]
    [migrate], [api] = pod["initContainers"], pod["containers"]
    assert migrate["command"] == ["app", "migrate"]
    assert migrate["image"] == api["image"] == "registry.example.com/my-service:0.1.0"
    assert migrate["envFrom"] == api["envFrom"]


def test_a_pod_that_lost_its_database_is_not_killed(built: Path) -> None:
    [api] = kinds(built)["Deployment"]["spec"]["template"]["spec"]["containers"]
    paths = {name: api[name]["httpGet"]["path"] for name in api if name.endswith("Probe")}
    live, ready = "/health/live", "/health/ready"
    assert paths == {"startupProbe": live, "livenessProbe": live, "readinessProbe": ready}


def test_a_pod_has_the_time_to_stop(built: Path) -> None:
    pod = kinds(built)["Deployment"]["spec"]["template"]["spec"]
    [api] = pod["containers"]
    seconds = api["lifecycle"]["preStop"]["sleep"]["seconds"]
    # The defaults of `app serve --timeout-graceful-shutdown`, and of the last export.
    assert pod["terminationGracePeriodSeconds"] > seconds + 7 + 2


def test_updates_of_postgres_have_no_pause_and_sqlite_has_one_writer(built: Path) -> None:
    found = kinds(built)
    deployment = found["Deployment"]["spec"]
    if is_postgres(built):
        assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert "replicas" not in deployment  # otherwise each `apply` undoes the autoscaler
        assert found["HorizontalPodAutoscaler"]["spec"]["minReplicas"] == 2
        assert found["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    else:
        assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
        assert found["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteOncePod"]
        assert not {"HorizontalPodAutoscaler", "PodDisruptionBudget"} & found.keys()


def test_all_objects_find_the_pods(built: Path) -> None:
    found = kinds(built)
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels


def test_no_secret_is_in_the_manifests(built: Path) -> None:
    assert "Secret" not in kinds(built)
    assert "SECRET_KEY" not in built.read_text("utf-8")
    assert "secretRef:\n            name: secrets" in built.read_text("utf-8")
