"""Carries people's braces past CrewAI.

CrewAI puts a task into its prompt by replacing `{input}`, and then replaces `{tool_names}` and
`{tools}` in the whole of it, so that these words in somebody's text would turn into other words.
An invisible character keeps them apart until the prompt is ready.
"""

_JOINER = "\N{WORD JOINER}"
_REPLACED = ("input", "tool_names", "tools")


def shielded(text: str) -> str:
    """The text, as it may be given to CrewAI."""
    for name in _REPLACED:
        text = text.replace(f"{{{name}}}", f"{{{_JOINER}{name}}}")
    return text


def bare(text: str) -> str:
    """The text as it was written, for the model."""
    for name in _REPLACED:
        text = text.replace(f"{{{_JOINER}{name}}}", f"{{{name}}}")
    return text
