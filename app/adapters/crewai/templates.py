"""Descriptions as Jinja2 templates over a task.

CrewAI's own `{name}` interpolation is never used: it would read the braces in what people write.
A template reads no files: there is no loader, and one that includes others is refused at load.
"""

from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import SandboxedEnvironment

from app.domain.model.errors import InvalidAgent, RunFailed
from app.ports.agent_runtime import TaskInput

_environment = SandboxedEnvironment(
    undefined=StrictUndefined,
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
)


def check_template(text: str, where: str) -> None:
    """Return if it is a template, else raise `InvalidAgent`."""
    try:
        _compiled(text)
        reads = [*meta.find_referenced_templates(_environment.parse(text))]
    except TemplateSyntaxError as error:
        raise InvalidAgent(f"{where}: line {error.lineno}: {error.message}") from error
    if reads:
        raise InvalidAgent(f"{where}: a task of a crew includes no other templates")


def render(text: str, task: TaskInput) -> str:
    """The text for this task; raise `RunFailed` ("invalid") where the task lacks something."""
    try:
        return _compiled(text).render(input=task.input, text=task.text, parameters=task.parameters)
    except (TemplateError, TypeError, ValueError) as error:
        raise RunFailed("invalid", f"the task lacks something: {error}", retryable=False) from error


@lru_cache(maxsize=512)
def _compiled(text: str) -> Template:
    return _environment.from_string(text)
