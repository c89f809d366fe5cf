"""Forks a child for each run from a process that has imported what runs need.

Run as `python -m app.adapters.isolation.server FD`. It has one thread, for a fork keeps no other.
It ends when its worker does, whatever ended that, and kills its children, as the system does when
it is killed itself: so no run outlives its worker. What a run has started ends with that run.
"""

import ctypes
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module

from app.adapters.isolation.child import main as run_child
from app.adapters.isolation.frames import packed, receive_frame

_PR_SET_PDEATHSIG = 1


def main(descriptor: int) -> None:
    """Serve until the worker at the other end of this socket is gone."""
    control = socket.socket(fileno=descriptor)
    start = receive_frame(control)
    if start is None:
        return
    sys.path[:] = start["path"]
    _leave_signals_to_the_worker()
    _die_with(start["worker"])
    _warm_up(start["preload"])
    _die_with(None)  # from here on it hears of its worker's end, and ends what runs have started
    _leave_signals_to_the_worker()  # whatever was loaded wanted
    _serve(control)


def _leave_signals_to_the_worker() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _warm_up(names: Iterable[str]) -> None:
    """Import modules, and call functions named as `module:function`."""
    for name in names:
        module, _, function = name.partition(":")
        with suppress(Exception, SystemExit):  # the run that needs it says what is wrong
            imported = import_module(module)
            if function:
                getattr(imported, function)()


def _serve(control: socket.socket) -> None:
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    alive: set[int] = set()
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                os.read(woken, 4_096)
                _tell_who_ended(control, alive)
            if control in ready:
                wanted, descriptors, _, _ = socket.recv_fds(control, 1, 1)
                if not wanted:
                    for pid in alive:
                        _kill_with_what_it_started(pid)
                    return
                mine = os.getpid()
                if (pid := os.fork()) == 0:
                    selector.close()
                    _become_child(mine, socket.socket(fileno=descriptors[0]), control, woken, wake)
                alive.add(pid)
                os.close(descriptors[0])
                control.sendall(packed({"born": pid}))


def _tell_who_ended(control: socket.socket, alive: set[int]) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            alive.discard(pid)
            _kill_with_what_it_started(pid)
            code = os.waitstatus_to_exitcode(status)
            control.sendall(packed({"ended": pid, "code": code}))


def _kill_with_what_it_started(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it is gone, and so are they
        os.killpg(pid, signal.SIGKILL)


def _become_child(
    server: int, sock: socket.socket, control: socket.socket, woken: int, wake: int
) -> None:
    try:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        control.close()
        os.close(woken)
        os.close(wake)
        _die_with(server)
        run_child(sock)
    except BaseException:  # noqa: BLE001  # it leaves by itself, unless it is broken
        traceback.print_exc()
    finally:
        os._exit(70)


def _die_with(parent: int | None) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL if parent else 0)
    if parent and os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
