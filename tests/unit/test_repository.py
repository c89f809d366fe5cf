"""The repository's papers and recipes agree with the code they are about."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

from app.adapters.local.servers.kafka_distribution import KAFKA_VERSION
from app.entrypoints.cli import app
from app.entrypoints.settings import load_settings
from tests.servers import REDIS_IMAGE

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.kafka.yml"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()


def program(name: str) -> str:
    """A developer's tool beside the interpreter; the test is skipped where it has no build."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        pytest.skip(f"{name} is not installed")
    return str(path)


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def services() -> dict[str, dict[str, Any]]:
    """The services of the compose file, with the defaults of each ${NAME:-default} filled in."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", COMPOSE.read_text())
    return dict(yaml.safe_load(text)["services"])


OURS = [name for name, service in services().items() if service["image"].startswith("crewline:")]


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CREWLINE_")]:
        monkeypatch.delenv(name)


def test_the_compose_file_fits_the_schema_of_compose() -> None:
    schema = ["--builtin-schema", "vendor.compose-spec"]
    run(program("check-jsonschema"), *schema, str(COMPOSE))


@pytest.mark.parametrize("service", OURS)
def test_the_settings_understand_every_variable_of_the_compose_file(
    service: str, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in services()[service]["environment"].items():
        if name.startswith("CREWLINE_"):
            monkeypatch.setenv(name, "" if value is None else str(value))
    load_settings()


def test_the_workers_of_the_compose_file_count_together() -> None:
    worker, redis = services()["worker"], services()["redis"]
    assert worker["environment"]["CREWLINE_LIMITS__REDIS_URL"] == "redis://redis:6379/0"
    assert "redis" in worker["depends_on"]
    assert redis["image"] == REDIS_IMAGE


@pytest.mark.parametrize("service", OURS)
def test_every_service_runs_a_command_that_exists(service: str) -> None:
    words = services()[service]["command"]
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert shown.exit_code == 0, shown.output


def test_the_settings_understand_every_line_of_the_example(
    clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    offered = [match.groups() for line in lines if (match := re.match(r"# (\w+)=(.*)", line))]
    assert len(offered) > 10
    for name, value in offered:
        if name.startswith("CREWLINE_"):
            monkeypatch.setenv(name, value or "something")
    load_settings()


def test_containers_and_the_jvm_run_the_same_kafka() -> None:
    assert services()["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_the_image_and_the_makefile_install_with_the_same_uv() -> None:
    makefile = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    dockerfile = re.search(
        r"^ARG UV_VERSION=(\S+)$", (ROOT / "deploy/docker/Dockerfile").read_text(), re.MULTILINE
    )
    assert makefile is not None
    assert dockerfile is not None
    assert makefile[1] == dockerfile[1]


def test_hadolint_has_nothing_to_say_about_the_image() -> None:
    run(program("hadolint"), "deploy/docker/Dockerfile")


def test_the_script_of_continuous_integration_can_be_run() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
    run("bash", "-n", ".ci/run")


def test_the_lock_names_a_fitting_version_of_everything_that_is_declared() -> None:
    pinned = {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE)
    }
    project = PYPROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    groups += PYPROJECT["dependency-groups"].values()
    for requirement in (Requirement(text) for group in groups for text in group):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not locked: run make lock"
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_the_lock_has_a_hash_for_each_package_and_no_address() -> None:
    packages = re.findall(r"^[\w.-]+==.*\\\n    --hash=sha256:", LOCK, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[\w.-]+==", LOCK, re.MULTILINE))
    assert "://" not in LOCK
    assert not re.search(r"^-", LOCK, re.MULTILINE)


def test_the_licence_is_the_one_the_package_declares() -> None:
    assert PYPROJECT["project"]["license"] == "Apache-2.0"
    assert (
        "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()
    )


def test_the_changelog_has_a_place_for_the_next_version() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
