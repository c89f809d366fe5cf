"""What we rely on in CrewAI without a promise: this fails when an upgrade moves it."""

import inspect
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path

# isort: off
from app.adapters.crewai import braces, failures, quiet  # before CrewAI itself, as in a worker
from app.adapters.crewai.scope import Stopped

import crewai
from crewai import Agent, Crew
from crewai.agents.agent_executor import AgentExecutor
from crewai.events import event_context
from crewai.events.event_listener import EventListener
from crewai.hooks.dispatch import HookAborted, InterceptionPoint, scoped_hooks
from crewai.llms import retry
from crewai.llms.base_llm import BaseLLM
from crewai_core.lock_store import set_lock_backend
# isort: on


def source(file: str) -> str:
    return (Path(crewai.__file__).parent / file).read_text(encoding="utf-8")


def test_the_version_is_the_one_that_was_read() -> None:
    assert version("crewai") == crewai.__version__ == "1.15.30"


def test_the_switches_of_one_run_are_context_variables() -> None:
    assert isinstance(retry._active_llm_rate_limit_retry, ContextVar)
    assert isinstance(event_context._event_context_config, ContextVar)
    assert {"PRE_MODEL_CALL", "PRE_TOOL_CALL"} <= set(InterceptionPoint.__members__)
    assert callable(scoped_hooks)


def test_the_lock_and_the_record_of_outputs_can_be_replaced() -> None:
    assert callable(set_lock_backend)
    assert "_task_output_handler" in Crew.__private_attributes__
    used = source("crew.py")
    for method in ("update", "reset"):
        assert f"_task_output_handler.{method}" in used
        assert callable(getattr(quiet.NoRecords, method))


def test_a_deliberate_stop_passes_the_retries() -> None:
    from crewai.agent import core  # noqa: PLC0415

    assert issubclass(Stopped, HookAborted)
    assert HookAborted in core._passthrough_exceptions


def test_an_agent_has_the_switches_we_turn() -> None:
    fields = Agent.model_fields
    assert {"max_retry_limit", "respect_context_window", "max_rpm", "verbose"} <= set(fields)
    assert hasattr(EventListener().formatter, "verbose")


def test_a_model_emits_its_events_by_these_names() -> None:
    for name in ("started", "completed", "failed"):
        assert callable(getattr(BaseLLM, f"_emit_call_{name}_event"))
    assert callable(BaseLLM._track_token_usage_internal)


def test_the_words_that_mean_no_output_are_still_said() -> None:
    assert failures.NO_OUTPUT in source("agents/agent_executor.py")


def test_the_words_it_replaces_in_a_prompt_are_those_we_shield() -> None:
    source = inspect.getsource(AgentExecutor._format_prompt)
    replaced = [line.split('"{')[1].split('}"')[0] for line in source.splitlines() if '"{' in line]
    assert tuple(replaced) == braces._REPLACED
