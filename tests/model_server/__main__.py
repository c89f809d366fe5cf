"""Serve scripted answers to a demo: `python -m tests.model_server --port 8089 [--script FILE]`.

A script is a JSON list of steps, or an object of such lists by model name (`*` for all others).
Point a worker at it with `OPENAI_BASE_URL=http://127.0.0.1:8089/v1` or, for Anthropic,
`ANTHROPIC_BASE_URL=http://127.0.0.1:8089`.
"""

import argparse
import asyncio
import json
from pathlib import Path

from tests.model_server.server import ModelServer
from tests.model_server.steps import as_step


async def serve(port: int, script: list[object] | dict[str, list[object]], pace: float) -> None:
    async with ModelServer(port, pace) as server:
        for model, steps in (script if isinstance(script, dict) else {"*": script}).items():
            server.script(*map(as_step, steps), model=model)
        print(f"OPENAI_BASE_URL={server.openai_url} ANTHROPIC_BASE_URL={server.url}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.model_server")
    parser.add_argument("--port", type=int, default=8089)
    parser.add_argument("--script", type=Path, help="a JSON file of steps")
    parser.add_argument("--pace", type=float, default=0.02, help="seconds between streamed words")
    chosen = parser.parse_args()
    script = json.loads(chosen.script.read_text(encoding="utf-8")) if chosen.script else []
    try:
        asyncio.run(serve(chosen.port, script, chosen.pace))
    except KeyboardInterrupt:
        print("stopped")


if __name__ == "__main__":
    main()
