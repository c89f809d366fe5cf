"""What importing and running CrewAI does to a process: nothing we would have to clean up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_GUARD = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("NETWORK", event, arguments)
sys.addaudithook(refuse)
"""


def python(code: str, **environ: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", _GUARD + code],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


WARM = """
import asyncio, signal
signals = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
before = [signal.getsignal(each) for each in signals]
from app.adapters.local.catalog import compile_schema
from app.adapters.crewai.runtime import CrewAIRuntime
from app.adapters.langchain.chat_models import LangChainChatModels
assert "crewai" not in sys.modules, "the runtime is known without CrewAI"
asyncio.run(CrewAIRuntime(LangChainChatModels(), None, {}, compile_schema).warm_up())
assert "crewai" in sys.modules
assert before == [signal.getsignal(each) for each in signals]
print("warm")
"""


def test_a_warm_up_opens_no_socket_keeps_the_signal_handlers_and_ends_at_once(
    tmp_path: Path,
) -> None:
    """`.env` files are not read either, and nothing is written where we stand."""
    (tmp_path / ".env").write_text("OPENAI_API_KEY=stolen\n")
    code = f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); os.chdir({str(tmp_path)!r})\n"
    told = "import os; print('key', os.environ.get('OPENAI_API_KEY'))"
    assert python(code + WARM + told) == "warm\nkey None\n"
    assert [each.name for each in tmp_path.iterdir()] == [".env"]


def test_a_home_that_cannot_be_written_is_no_obstacle() -> None:
    told = "import os; print(os.environ['HOME'])"
    assert python(WARM + told, HOME="/proc/nobody") == "warm\n/proc/nobody\n"


@pytest.mark.parametrize(
    "module",
    ["app.adapters.crewai.runtime", "app.adapters.langchain.providers", "app.ports.chat_model"],
)
def test_what_a_worker_needs_at_start_loads_neither_crewai_nor_langchain(module: str) -> None:
    code = f"import {module}, sys; print([m for m in ('crewai', 'langchain') if m in sys.modules])"
    assert python(code) == "[]\n"


def test_our_own_tracing_is_left_on() -> None:
    code = "import app.adapters.crewai, os; print(os.environ.get('OTEL_SDK_DISABLED'))"
    assert python(code) == "None\n"
