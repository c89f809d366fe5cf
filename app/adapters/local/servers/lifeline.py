"""Keep a server exactly as long as its owner, however the owner ends.

Run as a program of its own. Standard input is a pipe whose other end only the owner holds: when it
closes, by `stop` or because the owner was killed, the server is asked to end, then made to, and its
temporary folder goes. It imports only the standard library, so it starts in milliseconds.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

KEEP = b"keep"
"""What an owner says before closing the pipe when the folder is to survive."""


def keep_alive(order: dict[str, Any]) -> int:
    """Start what is ordered, say its process id, and return its exit code when both are gone."""
    identity: dict[str, Any] = {}
    if order["user"] is not None:
        identity = {"user": order["user"], "group": order["group"], "extra_groups": []}
    with Path(order["log"]).open("ab") as log:
        try:
            server = subprocess.Popen(  # noqa: S603  # the owner is us
                order["command"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=order["cwd"],
                **identity,
            )
        except OSError as error:
            log.write(f"{error}\n".encode())
            return 127

    def end(_signal: int, _frame: FrameType | None) -> None:
        server.terminate()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    os.write(1, f"{server.pid}\n".encode())

    last_words: list[bytes] = []

    def follow_owner() -> None:
        last_words.append(sys.stdin.buffer.read())
        server.send_signal(order["stop_signal"])
        try:
            server.wait(order["grace_seconds"])
        except subprocess.TimeoutExpired:
            server.kill()

    owner = threading.Thread(target=follow_owner)
    owner.start()
    code = server.wait()
    owner.join()
    if order["temporary"] is not None and KEEP not in last_words:
        shutil.rmtree(order["temporary"], ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(keep_alive(json.loads(sys.argv[1])))
