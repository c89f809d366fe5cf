"""Crews as people write them who have never heard of us: what a `factory` may name."""

import logging
import os

from crewai import LLM, Agent, Crew, Process, Task
from crewai.llms.base_llm import BaseLLM
from crewai.tasks.task_output import TaskOutput
from crewai.tools import tool
from pydantic import BaseModel


class Count(BaseModel):
    """What the counting crew puts out."""

    words: int


def _crew(task: Task, **settings: object) -> Crew:
    return Crew(agents=[task.agent], tasks=[task], process=Process.sequential, **settings)


def _writer(**settings: object) -> Agent:
    return Agent(role="Writer", goal="Write about {topic}.", backstory="Brief.", **settings)


def plain() -> Crew:
    """Uses CrewAI's own interpolation, verbose, and retries as CrewAI does."""
    task = Task(
        name="write",
        description="Write about {topic}: {text}",
        expected_output="A page.",
        agent=_writer(verbose=True, respect_context_window=False),
    )
    return _crew(task, verbose=True, name="plain")


def with_our_model(llm: BaseLLM) -> Crew:
    """Wants the worker's model, to use it where it likes."""
    task = Task(description="Write.", expected_output="A page.", agent=_writer(llm=llm))
    return _crew(task)


def with_a_model_of_its_own() -> Crew:
    """Three tasks on a model that the crew opens by itself."""
    llm = LLM(model="openai/gpt-4o", base_url=os.environ["OWN_MODEL_URL"], api_key="sk-its-own")
    writer = Agent(role="Writer", goal="Write.", backstory="Brief.", llm=llm)
    steps = [
        Task(description=f"Write part {number}.", expected_output="A page.", agent=writer)
        for number in range(1, 4)
    ]
    return Crew(agents=[writer], tasks=steps, process=Process.sequential)


def with_data() -> Crew:
    """Puts out a pydantic model."""
    task = Task(
        description="Count {text}.",
        expected_output="A number.",
        agent=_writer(),
        output_pydantic=Count,
    )
    return _crew(task)


def with_a_guardrail() -> Crew:
    """Accepts no answer at all."""

    def never(_: TaskOutput) -> tuple[bool, str]:
        return False, "not good enough"

    task = Task(
        description="Write.",
        expected_output="A page.",
        agent=_writer(),
        guardrail=never,
        guardrail_max_retries=1,
    )
    return _crew(task)


def with_a_tool() -> Crew:
    """Has a tool of CrewAI's kind."""

    @tool
    def shout(text: str) -> str:
        """Writes a text in capitals."""
        return text.upper()

    task = Task(description="Shout {text}.", expected_output="It.", agent=_writer(tools=[shout]))
    return _crew(task)


def of_two_steps() -> Crew:
    """Two tasks, one after the other; each writes a line into the log."""

    @tool
    def jot(text: str) -> str:
        """Writes a line."""
        logging.getLogger("somebodys.crew").warning("jotted %s", text)
        return "written"

    writer = _writer(tools=[jot])
    tasks = [
        Task(name=name, description=f"{name} it.", expected_output="It.", agent=writer)
        for name in ("plan", "write")
    ]
    return Crew(agents=[writer], tasks=tasks, process=Process.sequential)


async def that_is_awaited() -> Crew:
    return plain()


def that_is_broken() -> Crew:
    """Breaks while it is made."""
    raise LookupError("no such colleague")


def that_exits() -> Crew:
    """Ends the process, or would like to."""

    @tool
    def leave(text: str) -> str:
        """Leaves."""
        raise SystemExit(text)

    task = Task(description="Leave.", expected_output="It.", agent=_writer(tools=[leave]))
    return _crew(task)


class Project:
    """As `crewai create` lays it out: a class with a method that makes the crew."""

    def crew(self) -> Crew:
        return plain()


def no_crew() -> str:
    return "no crew"
