"""Apache Kafka's jars and the Java to run them: fetched once by Maven, kept in the user's cache."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from app.adapters.local.servers.server import ServerUnavailable, last_line

KAFKA_VERSION = "4.3.1"
LOG4J_VERSION = "2.24.3"
OLDEST_JAVA = 17

_POM = f"""\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>crewline</groupId><artifactId>kafka-broker</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId><version>{LOG4J_VERSION}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-core</artifactId><version>{LOG4J_VERSION}</version></dependency>
  </dependencies>
</project>
"""

_LOG4J = """\
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c)%n
"""


def java() -> str:
    """The Java to use: `JAVA_HOME`, else the path; raise unless it is new enough."""
    home = os.environ.get("JAVA_HOME")
    inside = Path(home, "bin", "java") if home else None
    program = str(inside) if inside is not None and inside.exists() else shutil.which("java")
    if program is None:
        raise ServerUnavailable(f"Kafka needs Java {OLDEST_JAVA} or newer, and there is no `java`.")
    said = subprocess.run(  # noqa: S603
        [program, "-version"], capture_output=True, text=True, check=False
    ).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if found is None or int(found[1]) < OLDEST_JAVA:
        version = found[1] if found else "of an unknown version"
        raise ServerUnavailable(
            f"Kafka needs Java {OLDEST_JAVA} or newer; {program} is Java {version}."
        )
    return program


def cache_folder() -> Path:
    """`crewline/kafka-<version>` in the user's cache folder, which `XDG_CACHE_HOME` moves."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches, "crewline", f"kafka-{KAFKA_VERSION}")


def is_fetched(folder: Path | None = None) -> bool:
    """Whether the jars are there, so that neither Maven nor a network is needed."""
    return ((folder or cache_folder()) / "libs").is_dir()


def fetch(folder: Path | None = None) -> Path:
    """Return the folder with `libs/` and `log4j2.properties`, asking Maven the first time.

    The folder appears complete or not at all, so two processes may fetch at once.
    """
    folder = folder or cache_folder()
    if is_fetched(folder):
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerUnavailable(
            f"Kafka's jars are not in {folder} yet, and there is no `mvn` to fetch them."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as scratch:
        fresh = Path(scratch, "kafka")
        fresh.mkdir()
        (fresh / "pom.xml").write_text(_POM)
        (fresh / "log4j2.properties").write_text(_LOG4J)
        _run_maven(maven, fresh)
        try:
            fresh.rename(folder)
        except OSError:
            if not is_fetched(folder):
                raise
    return folder


def _run_maven(maven: str, folder: Path) -> None:
    log = folder / "maven.log"
    command = [maven, "--batch-mode", "--quiet", "-Dstyle.color=never"]
    command += ["dependency:copy-dependencies"]
    command += [f"-DoutputDirectory={folder / 'libs'}", "-DincludeScope=runtime"]
    with log.open("wb") as out:
        code = subprocess.run(  # noqa: S603
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        ).returncode
    if code != 0 or not any((folder / "libs").glob("kafka_*.jar")):
        errors = [line for line in log.read_text(errors="replace").splitlines() if "ERROR" in line]
        said = errors[0].partition("ERROR]")[2].strip() if errors else last_line(log)
        raise ServerUnavailable(f"Maven could not fetch Kafka {KAFKA_VERSION}: {said}")
