"""The published contract says what the code does."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import app.adapters.kafka
from app.adapters.kafka.channels import contract_files
from app.adapters.kafka.cloudevents import EARLIER
from app.adapters.kafka.topics import Topics
from app.domain.model.vocabulary import MESSAGES

SHIPPED = files("app.entrypoints") / "contract"
KAFKA = Path(app.adapters.kafka.__path__[0])
SAMPLES = sorted((Path(__file__).parents[1] / "samples").glob("*/*.json"))


def test_the_published_files_are_those_the_code_describes() -> None:
    for name, text in contract_files().items():
        shipped = SHIPPED.joinpath(*name.split("/")).read_text(encoding="utf-8")
        assert shipped == text, f"{name} is old: python -m app.entrypoints.contract"
    shipped_schemas = {file.name for file in (SHIPPED / "schemas").iterdir()}
    assert shipped_schemas == {f"{name}.json" for name in MESSAGES}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_schema_is_one_and_takes_the_samples(name: str) -> None:
    schema = json.loads((SHIPPED / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert "traceparent" not in schema["properties"]
    for path in SAMPLES:
        sample = json.loads(path.read_text(encoding="utf-8"))
        if path.parent.name == name and path.stem in {"smallest", "full"}:
            Draft202012Validator(schema).validate(sample["value"])


def test_every_reference_in_the_document_leads_somewhere() -> None:
    document = json.loads((SHIPPED / "asyncapi.json").read_text(encoding="utf-8"))

    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [each for value in node.values() for each in references(value)]
        return (
            [each for value in node for each in references(value)] if isinstance(node, list) else []
        )

    found = references(document)
    assert found
    for reference in found:
        node = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step.replace("~1", "/")]


def test_every_topic_is_a_channel() -> None:
    document = json.loads((SHIPPED / "asyncapi.json").read_text(encoding="utf-8"))
    topics = {spec.name for spec in Topics().all([("{agent}", ["{runtime}"])])}
    assert {channel["address"] for channel in document["channels"].values()} == topics


def test_every_header_of_our_own_is_described() -> None:
    document = json.loads((SHIPPED / "asyncapi.json").read_text(encoding="utf-8"))
    sources = [KAFKA / f"{module}.py" for module in ("cloudevents", "delays", "delay_queue")]
    written = {
        name
        for source in sources
        for name in re.findall(r'"(crewline-[a-z-]+)"', source.read_text(encoding="utf-8"))
    }
    assert written == headers_of(document, "delayed-task", "crewline-")
    for message in ("task.submit.v1", "plain"):
        assert set(EARLIER) == headers_of(document, message, "crewline-")


def headers_of(document: dict[str, Any], message: str, beginning: str) -> set[str]:
    """The names that begin so, of the headers the document knows of this message."""
    schemas = document["components"]["schemas"]
    headers = document["components"]["messages"][message]["headers"]
    parts = [
        schemas[part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        for part in headers.get("allOf", [headers])
    ]
    names = (name for part in parts for name in part["properties"])
    return {name for name in names if name.startswith(beginning)}


def test_who_serves_the_contract_does_not_load_what_writes_it() -> None:
    program = (
        "import sys, app.entrypoints.gateway.app, app.entrypoints.bootstrap.kafka_broker\n"
        "sys.exit('faststream' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
