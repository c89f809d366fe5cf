"""Asks a gateway for `/livez` every tenth of a second, from a process of its own; see `__main__`.

It prints one JSON object a second: how many answers came, and the slowest, in seconds.
"""

import http.client
import json
import sys
import time

_PACE = 0.1
_PATIENCE = 60


def main(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    while True:
        slowest, answers, failures = 0.0, 0, 0
        until = time.monotonic() + 1
        while time.monotonic() < until:
            began = time.monotonic()
            try:
                connection.request("GET", "/livez")
                connection.getresponse().read()
                answers += 1
            except (OSError, http.client.HTTPException):
                failures += 1
                connection.close()
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(_PACE)
        line = {"answers": answers, "failures": failures, "slowest": round(slowest, 3)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
