"""The librdkafka that kcat needs for a broker."""

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest


def kcats_library(*, embedded: bool) -> dict[str, str]:
    """The environment in which the kcat of this machine can talk to a broker, or skip.

    The embedded broker's answers need librdkafka 2.2, as docs/kafka.md says. Where kcat's own is
    older, as in Debian 12, it is given the one that confluent-kafka brings.
    """
    said = subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=True, timeout=20)
    version = re.search(r"librdkafka (\d+)\.(\d+)", said.stdout + said.stderr)
    assert version is not None, said.stdout
    if not embedded or (int(version[1]), int(version[2])) >= (2, 2):
        return {}
    spec = find_spec("confluent_kafka")
    assert spec is not None
    assert spec.origin is not None
    libraries = Path(spec.origin).parents[1] / "confluent_kafka.libs"
    found = next(libraries.glob("librdkafka-*.so*"), None)
    if found is None:
        pytest.skip(f"kcat's librdkafka {version[0]} cannot read this broker's answers")
    return {"LD_PRELOAD": str(found)}
