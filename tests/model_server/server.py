"""The server itself: HTTP/1.1 on 127.0.0.1 by hand, so that it can also misbehave."""

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from uuid import uuid4

from tests.model_server.dialects import Anthropic, Dialect, Frame, Json, OpenAI
from tests.model_server.steps import CallTools, Drop, Fail, Garble, Hang, Spoil, Step, Text

Answer = Step | Callable[["Seen"], Step]
"""A step, or a function that reads the request and decides."""

_EVERY_MODEL = "*"
_FRAMES_BEFORE_A_CUT = 3


@dataclass
class Seen:
    """A request as the server saw it."""

    path: str
    headers: dict[str, str]
    body: Json
    at: float = field(default_factory=time.monotonic)
    abandoned: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client goes away without waiting for the answer."""

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def streamed(self) -> bool:
        return self.body.get("stream") is True

    @property
    def texts(self) -> list[str]:
        """The text of each message, in order, a system prompt beside them first."""
        messages = self.body.get("messages")
        said = [each.get("content") for each in messages] if isinstance(messages, list) else []
        return [_flat(each) for each in (self.body.get("system"), *said) if each]

    @property
    def tools(self) -> list[str]:
        offered = self.body.get("tools")
        named = offered if isinstance(offered, list) else []
        return [str(tool.get("function", tool)["name"]) for tool in named]


class ModelServer:
    """Use it as `async with ModelServer() as server`, and script it before it is asked."""

    def __init__(self, port: int = 0, pace: float = 0) -> None:
        self.port = port
        # the vendors' SDKs keep connections by URL, past the end of a test and of its event loop:
        # a port that comes again must not find them
        self._place = "" if port else f"/{uuid4().hex}"
        self.pace = pace
        """Seconds between the pieces of a stream."""
        self.seen: list[Seen] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._scripts: defaultdict[str, list[Answer]] = defaultdict(list)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._asked = asyncio.Condition()

    def script(self, *answers: Answer, model: str = _EVERY_MODEL) -> None:
        """Answer the next requests for a model with these, in order; the last one repeats."""
        self._scripts[model] = list(answers)

    async def until_asked(self, times: int = 1, within: float = 15) -> Seen:
        """Wait until so many requests have come; return the latest of them."""
        async with asyncio.timeout(within), self._asked:
            await self._asked.wait_for(lambda: len(self.seen) >= times)
        return self.seen[times - 1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self._place}"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._connections):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while (seen := await _request(reader)) is not None:
                async with self._asked:
                    self.seen.append(seen)
                    self._asked.notify_all()
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    await self._answer(seen, reader, writer)
                finally:
                    self.in_flight -= 1
                if writer.is_closing():
                    break
        writer.close()
        self._connections.discard(writer)

    async def _answer(
        self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        dialect: Dialect = Anthropic() if "/messages" in seen.path else OpenAI()
        step, number = self._next(seen), len(self.seen)
        match step:
            case Hang():
                await self._wait(seen, reader, writer, None)
            case Fail():
                await _send(writer, step.status, dialect.error(step), step.headers)
            case Garble():
                await _send(writer, 200, "<html>not what you came for</html>", {})
            case Drop() if not seen.streamed:
                writer.transport.abort()
            case Drop():
                said = Text("these words are cut")
                await self._stream(dialect.stream(said, seen.model, number), seen, writer, cut=True)
            case Spoil():
                await self._spoil(step, dialect, seen, writer)
            case Text() | CallTools():
                after = step.after if isinstance(step, Text) else 0
                if after and not await self._wait(seen, reader, writer, after):
                    return
                if seen.streamed:
                    await self._stream(dialect.stream(step, seen.model, number), seen, writer)
                else:
                    await _send(writer, 200, dialect.whole(step, seen.model, number), {})

    async def _spoil(
        self, step: Spoil, dialect: Dialect, seen: Seen, writer: asyncio.StreamWriter
    ) -> None:
        if not seen.streamed and step.how in ("json", "error"):
            body = '{"id": "1", "cho' if step.how == "json" else dialect.error(step)
            await _send(writer, 200, body, {})
            return
        coding = "content-encoding: gzip\r\n" if step.how == "gzip" else ""
        kind = "content-type: " + ("text/event-stream" if seen.streamed else "application/json")
        head = f"HTTP/1.1 200 OK\r\n{kind}\r\n{coding}transfer-encoding: chunked\r\n\r\n"
        writer.write(head.encode())
        frames = dialect.stream(Text("these words are cut"), seen.model, len(self.seen))
        for _, (name, data) in zip(range(_FRAMES_BEFORE_A_CUT), frames, strict=False):
            _chunk(writer, name, data)
        named = isinstance(dialect, Anthropic)
        match step.how:
            case "json":
                _chunk(writer, "content_block_delta" if named else None, '{"id": "1", "cho')
            case "error":
                _chunk(writer, "error" if named else None, dialect.error(step))
            case "chunk":
                writer.write(b"no length\r\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    def _next(self, seen: Seen) -> Step:
        script = self._scripts.get(seen.model) or self._scripts[_EVERY_MODEL]
        answer: Answer = Text("All is well.")
        if script:
            answer = script.pop(0) if len(script) > 1 else script[0]
        return answer(seen) if callable(answer) else answer

    async def _wait(
        self,
        seen: Seen,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        seconds: float | None,
    ) -> bool:
        """Whether the client still waits after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await reader.read(1)
        except TimeoutError:
            return True
        seen.abandoned.set()
        writer.close()
        return False

    async def _stream(
        self, frames: Iterable[Frame], seen: Seen, writer: asyncio.StreamWriter, cut: bool = False
    ) -> None:
        """Send the frames one by one; with `cut` break off after the first words."""
        kind = "content-type: text/event-stream\r\ntransfer-encoding: chunked"
        writer.write(f"HTTP/1.1 200 OK\r\n{kind}\r\n\r\n".encode())
        try:
            for sent, (name, data) in enumerate(frames):
                if cut and sent > _FRAMES_BEFORE_A_CUT:
                    writer.transport.abort()
                    return
                _chunk(writer, name, data)
                await writer.drain()
                await asyncio.sleep(self.pace)
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        except ConnectionError:
            seen.abandoned.set()
            raise


def _chunk(writer: asyncio.StreamWriter, name: str | None, data: Json | str) -> None:
    text = data if isinstance(data, str) else json.dumps(data)
    frame = (f"event: {name}\n" if name else "") + f"data: {text}\n\n"
    encoded = frame.encode()
    writer.write(f"{len(encoded):x}\r\n".encode() + encoded + b"\r\n")


async def _send(
    writer: asyncio.StreamWriter, status: int, body: Json | str, headers: Mapping[str, str]
) -> None:
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    about = {"content-type": "application/json", "content-length": str(len(content)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in about.items())
    writer.write(f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode() + content)
    await writer.drain()


async def _request(reader: asyncio.StreamReader) -> Seen | None:
    line = (await reader.readline()).decode()
    if not line:
        return None
    _, path, _ = line.split(" ", 2)
    headers: dict[str, str] = {}
    while (header := (await reader.readline()).decode().strip()) != "":
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Seen(path=path, headers=headers, body=json.loads(body or b"{}"))


def _flat(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(str(part.get("text", part.get("content", ""))) for part in content)
    return str(content or "")
