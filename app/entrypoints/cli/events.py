"""A task's events as a person or a machine reads them, one line each."""

import json
from typing import TextIO

from app.entrypoints.cli.connection import Json
from app.entrypoints.cli.following import TaskEvent
from app.entrypoints.terminal import printable, printable_json

_WORDS = ("name", "tool", "model", "phase", "message", "text", "detail")
"""The fields that tell a person what an event is about, in the order one reads them."""


class EventWriter:
    """Writes events to one stream; a model's words are joined to the text they make."""

    def __init__(self, stream: TextIO, *, as_json: bool = False) -> None:
        self._stream = stream
        self._as_json = as_json
        self._in_text = False

    def write(self, event: TaskEvent) -> None:
        """Show one event."""
        if self._as_json:
            line = {"id": event.id, "type": event.type, **event.data}
            self._stream.write(printable_json(json.dumps(line, ensure_ascii=False)) + "\n")
        elif event.type == "trace.token":
            self._stream.write(printable(str(event.data.get("text", ""))))
            self._in_text = True
        else:
            self.close()
            self._stream.write(event_line(event) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """End a line that is still open."""
        if self._in_text:
            self._stream.write("\n")
            self._in_text = False


def event_line(event: TaskEvent) -> str:
    """One event in one line: when, what, and the words that go with it."""
    at = str(event.data.get("at", ""))[11:23]
    words = " ".join(printable(_words(event.data)).split())
    return printable(f"{at}  {event.type:<20}  {words}".rstrip())


def _words(data: Json) -> str:
    error = data.get("error")
    if isinstance(error, dict):
        again = f"; again at {str(data['not_before'])[11:19]}" if data.get("not_before") else ""
        return f"{error.get('code')}: {error.get('message')}{again}"
    said = [data.get(name) for name in _WORDS]
    if asked := data.get("input_request"):
        said.append(asked.get("prompt") if isinstance(asked, dict) else asked)
    if runtime := data.get("runtime"):
        said.append(f"with {runtime} on {data.get('worker_id')}")
    if isinstance(progress := data.get("progress"), int | float):
        said.append(f"{progress:.0%}")
    if isinstance(took := data.get("duration_ms"), int | float):
        said.append(f"{took:.0f} ms")
    said.append(error)
    return " ".join(str(word) for word in said if word)
