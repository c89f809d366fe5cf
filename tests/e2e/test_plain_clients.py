"""Clients that know nothing of Crewline, used as docs/kafka.md says, word for word.

On Apache Kafka and on the broker that `crewline dev` embeds: the page shows them for both.
"""

import asyncio
import os
import re
import shutil
import textwrap
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from app.adapters.local.servers import kafka_distribution
from app.adapters.local.servers.server import ServerUnavailable
from tests.e2e.fleet import ROOT, Fleet
from tests.e2e.kcat import kcats_library
from tests.e2e.outside import EVERYTHING, Json, Outside, new_fleet, outside, standing
from tests.waiting import until_true

PAGE = ROOT / "docs" / "kafka.md"
TOOLS = "org.apache.kafka.tools.ConsoleProducer"
ANY_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Example(NamedTuple):
    """One way to submit, as the page has it but for address, topic, id and question."""

    code: str
    task_id: str
    question: str


@pytest.fixture(
    scope="module", params=[pytest.param("kafka", marks=pytest.mark.kafka), "embedded_kafka"]
)
def fleet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    fleet = new_fleet(tmp_path_factory.mktemp("plain"), request.getfixturevalue(request.param))
    if request.param == "embedded_kafka":
        fleet.environment["CREWLINE_KAFKA__EMBEDDED"] = "true"
    with standing(fleet, *EVERYTHING):
        yield fleet


@pytest.fixture
async def user(fleet: Fleet) -> AsyncIterator[Outside]:
    async with outside(fleet) as user:
        yield user


def example(fleet: Fleet, language: str, word: str) -> Example:
    """The one command, or the block of another language, that has this word."""
    page = PAGE.read_text().partition("## Submitting")[2]
    blocks = re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    if language == "sh":
        blocks = [command for block in blocks for command in block.split("\n\n")]
    code = next(block for block in blocks if word in block)
    task_id, question = str(uuid.uuid4()), f"What is {uuid.uuid4()}?"
    code = ANY_ID.sub(lambda _: task_id, code)
    for written, meant in {
        "localhost:9092": fleet.kafka,
        "crewline.commands": f"{fleet.prefix}.commands",
        "What is Kafka?": question,
    }.items():
        assert written in code
        code = code.replace(written, meant)
    return Example(code, task_id, question)


async def run(
    *command: str, path: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    found = os.pathsep.join([str(path), os.environ["PATH"]]) if path else os.environ["PATH"]
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | {"PATH": found} | dict(environment or {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def answered(user: Outside, question: str) -> Json:
    """The task with this input, once it has completed."""
    found: list[Json] = []

    async def there() -> bool:
        for listed in (await user.http.get("/v1/tasks")).json()["items"]:
            task = (await user.http.get(f"/v1/tasks/{listed['id']}")).json()
            if task["input"] == question:
                found.append(task)
        return bool(found)

    await until_true(there, within=60)
    task = await user.ended(found[0]["id"])
    assert task["state"] == "completed"
    return task


def java_class_path() -> str:
    """Kafka's own jars, or skip."""
    try:
        kafka_distribution.java()
    except ServerUnavailable as error:
        pytest.skip(error.message)
    if not kafka_distribution.is_fetched():
        pytest.skip(f"Kafka's jars are not in {kafka_distribution.cache_folder()}")
    return f"{kafka_distribution.cache_folder() / 'libs'}/*"


async def kafka_tools() -> Path:
    """The jar that has the console producer, from the cache or by Maven, or skip."""
    folder = kafka_distribution.cache_folder() / "tools"
    jar = folder / f"kafka-tools-{kafka_distribution.KAFKA_VERSION}.jar"
    if not jar.exists():
        if shutil.which("mvn") is None:
            pytest.skip(f"{jar.name}, which has {TOOLS}, is not there, nor is `mvn` to fetch it")
        artifact = f"org.apache.kafka:kafka-tools:{kafka_distribution.KAFKA_VERSION}"
        goal = ("dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}")
        await run("mvn", "--batch-mode", "--quiet", *goal)
    return jar


@pytest.mark.parametrize("word", ["# kcat\n", "# kcat, as a CloudEvent"])
async def test_kcat(fleet: Fleet, user: Outside, word: str) -> None:
    if shutil.which("kcat") is None:
        pytest.skip("kcat is not installed: apt-get install kcat")
    library = kcats_library(embedded="CREWLINE_KAFKA__EMBEDDED" in fleet.environment)
    asked = example(fleet, "sh", word)
    await run("bash", "-c", asked.code, environment=library)
    task = await answered(user, asked.question)
    assert ("CloudEvent" not in word) or task["id"] == asked.task_id


async def test_kafkas_console_producer(fleet: Fleet, user: Outside, tmp_path: Path) -> None:
    class_path = java_class_path()
    tools = await kafka_tools()
    script = tmp_path / "kafka-console-producer.sh"
    script.write_text(
        f'#!/bin/sh\nexec {kafka_distribution.java()} -cp "{class_path}:{tools}" {TOOLS} "$@"\n'
    )
    script.chmod(0o755)
    asked = example(fleet, "sh", script.name)
    await run("bash", "-c", asked.code, path=tmp_path)
    assert (await answered(user, asked.question))["id"] == asked.task_id


async def test_the_java_client(fleet: Fleet, user: Outside, tmp_path: Path) -> None:
    class_path = java_class_path()
    if shutil.which("javac") is None:
        pytest.skip("a JDK is needed, and there is a Java runtime only")
    asked = example(fleet, "java", "KafkaProducer")
    source = tmp_path / "Produce.java"
    source.write_text(
        "import java.util.*;\n"
        "import org.apache.kafka.clients.producer.*;\n"
        "import org.apache.kafka.common.serialization.*;\n"
        "class Produce { public static void main(String[] none) throws Exception {\n"
        f"{asked.code}\n}} }}\n"
    )
    await run(kafka_distribution.java(), "-cp", class_path, str(source))
    task = await answered(user, asked.question)
    assert uuid.UUID(task["id"]).version == 4  # the key, which the example made


async def test_aiokafka(fleet: Fleet, user: Outside) -> None:
    asked = example(fleet, "python", "AIOKafkaProducer")
    names: dict[str, object] = {}
    body = textwrap.indent(asked.code, "    ")
    exec(f"async def produce():\n{body}", names)  # our own page
    produce = names["produce"]
    assert callable(produce)
    async with asyncio.timeout(30):
        await produce()
    assert uuid.UUID((await answered(user, asked.question))["id"]).version == 5
