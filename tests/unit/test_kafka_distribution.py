"""What stands between a person and Kafka on the JVM is told in one line."""

from pathlib import Path

import pytest

from app.adapters.local.servers import kafka_distribution
from app.adapters.local.servers.server import ServerUnavailable


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path that holds nothing but what the test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_without_java_the_line_names_the_version_to_install(programs: Path) -> None:
    with pytest.raises(ServerUnavailable, match="needs Java 17 or newer, and there is no `java`"):
        kafka_distribution.java()


@pytest.mark.parametrize(
    ("printed", "version"), [('openjdk version "11.0.2"', "11"), ('java version "1.8.0_40"', "8")]
)
def test_an_old_java_is_refused_with_its_version(
    programs: Path, printed: str, version: str
) -> None:
    put(programs, "java", f"echo '{printed}' >&2")
    with pytest.raises(ServerUnavailable, match=f"is Java {version}"):
        kafka_distribution.java()


@pytest.mark.parametrize("version", ["17.0.15", "21", "25-ea"])
def test_a_new_java_is_taken(programs: Path, version: str) -> None:
    put(programs, "java", f"echo 'openjdk version \"{version}\"' >&2")
    assert kafka_distribution.java() == str(programs / "java")


def test_java_home_comes_before_the_path(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "jdk" / "bin"
    home.mkdir(parents=True)
    put(home, "java", "echo 'openjdk version \"21\"' >&2")
    monkeypatch.setenv("JAVA_HOME", str(home.parent))
    assert kafka_distribution.java() == str(home / "java")


def test_without_maven_the_line_says_what_it_is_for(programs: Path, tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable, match="no `mvn` to fetch them"):
        kafka_distribution.fetch(tmp_path / "kafka")


def test_a_failing_maven_is_quoted_and_leaves_nothing_behind(
    programs: Path, tmp_path: Path
) -> None:
    put(programs, "mvn", "echo '[INFO] scanning'; echo '[ERROR] the network is away'; exit 1")
    target = tmp_path / "cache" / "kafka"
    with pytest.raises(ServerUnavailable, match=r"could not fetch Kafka .*: the network is away"):
        kafka_distribution.fetch(target)
    assert list(target.parent.iterdir()) == []


def test_what_was_fetched_once_needs_no_maven_again(programs: Path, tmp_path: Path) -> None:
    put(
        programs,
        "mvn",
        'for each in "$@"; do case "$each" in -DoutputDirectory=*) out="${each#*=}";; esac; done\n'
        '/bin/mkdir -p "$out" && : > "$out/kafka_2.13.jar"',
    )
    target = tmp_path / "cache" / "kafka"
    kafka_distribution.fetch(target)
    (programs / "mvn").unlink()
    assert kafka_distribution.fetch(target) == target
    assert (target / "libs" / "kafka_2.13.jar").exists()
    assert (target / "log4j2.properties").exists()


def test_the_cache_follows_the_user_s_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert kafka_distribution.cache_folder().parent == Path("/elsewhere/crewline")
