"""The worker's end of a run in a child process: does what the run asks for, until its outcome."""

import asyncio
from collections.abc import Callable
from typing import Any

from app.adapters.isolation.errors import restored, told
from app.adapters.isolation.frames import Frame, FrameTooLarge, largest, packed, read_frame
from app.adapters.isolation.models import ANSWERS, REQUESTS
from app.domain.model.errors import PayloadTooLarge, RunFailed
from app.domain.model.events import Result
from app.ports.agent_runtime import ActivityId, RunContext, RunStopped
from app.ports.chat_model import ChatModels


class ChildGone(Exception):
    """The child ended without telling an outcome."""


class Attendant:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        context: RunContext,
        models: ChatModels | None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._context = context
        self._models = models
        self._asking: dict[int, asyncio.Task[None]] = {}
        self._open: dict[ActivityId, None] = {}

    async def outcome(self) -> Result:
        """Serve the child until it tells its result; raise what it raised, or `ChildGone`."""
        try:
            most = largest(self._context.max_result_bytes)
            while (frame := await read_frame(self._reader, most)) is not None:
                if "call" in frame:
                    await self._answer(frame)
                elif "forget" in frame:
                    self._forget(frame["forget"])
                elif "result" in frame:
                    return Result.model_validate(frame["result"])
                elif "error" in frame:
                    raise restored(frame["error"])
                else:
                    raise asyncio.CancelledError
            raise ChildGone
        except FrameTooLarge as error:
            message = f"its process sends {error}"
            raise RunFailed(PayloadTooLarge.code, message, retryable=False) from error
        finally:
            for number in list(self._asking):
                self._forget(number)

    async def close(self, error: str) -> None:
        """End what the child began and can end no more, the innermost first."""
        for activity in reversed(list(self._open)):
            await self._context.end(activity, error=error)

    async def _answer(self, frame: Frame) -> None:
        """Most is answered in order; models take their time, so they are asked beside that."""
        if frame["call"] == "ask":
            number = frame["number"]
            asking = asyncio.create_task(self._reply(frame))
            self._asking[number] = asking
            asking.add_done_callback(lambda _: self._asking.pop(number, None))
        else:
            await self._reply(frame)

    async def _reply(self, frame: Frame) -> None:
        number = frame["number"]
        try:
            value = await self._do(number, frame["call"], frame["arguments"])
            reply = packed({"number": number, "value": value})
        except RunStopped as stopped:
            reply = packed({"number": number, "error": told(stopped)})
        except Exception as error:  # noqa: BLE001  # it is raised where it was asked for
            reply = packed({"number": number, "error": told(error)})
        self._writer.write(reply)

    async def _do(self, number: int, call: str, arguments: dict[str, Any]) -> object:
        match call:
            case "ask":
                return await self._ask_model(number, **arguments)
            case "input_limit":
                limit = self._its_models().input_limit
                return await asyncio.to_thread(limit, arguments["model"])
            case "stop_reason":
                return self._context.stop_reason
            case "idempotency_key":
                return self._context.idempotency_key(arguments["step"])
            case "begin":
                activity = await self._context.begin(**arguments)
                self._open[activity] = None
                return activity
            case "end":
                self._open.pop(arguments["activity"], None)
                await self._context.end(arguments.pop("activity"), **arguments)
            case "report":
                await self._context.report(**arguments)
            case "log":
                await self._context.log(**arguments)
            case "token":
                await self._context.token(**arguments)
            case _:
                raise ValueError(f"a run cannot call {call!r}")
        return None

    async def _ask_model(
        self, number: int, model: str, request: dict[str, Any], *, streamed: bool
    ) -> object:
        def pass_on(text: str) -> None:
            self._writer.write(packed({"number": number, "text": text}))

        heard: Callable[[str], None] | None = pass_on if streamed else None
        answer = await self._its_models().ask(model, REQUESTS.validate_python(request), heard)
        return ANSWERS.dump_python(answer, mode="json")

    def _its_models(self) -> ChatModels:
        if self._models is None:
            raise ValueError("this runtime has no models")
        return self._models

    def _forget(self, number: int) -> None:
        if asking := self._asking.get(number):
            asking.cancel()
