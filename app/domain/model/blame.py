"""Finds the line of people's own code that an exception came from."""

import os
import sys
import sysconfig
from pathlib import Path
from types import FrameType, TracebackType

_OURS = str(Path(__file__).resolve().parents[2]) + os.sep
_PYTHONS = tuple(
    {
        str(Path(folder).resolve()) + os.sep
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
        if (folder := sysconfig.get_path(name))
    }
)
"""Where Python and the packages that are installed lie."""


def place_of(error: BaseException) -> str | None:
    """`file:line in function` of the last line in people's own code, where there is one.

    What the code calls in a library is not theirs, unless the library is what they gave us to call.
    """
    frames = [each for each in _frames(error.__traceback__) if not _is_ours(each[0])]
    if not frames:
        return None
    given = _package(frames[0][0])
    theirs = [
        (frame, line)
        for frame, line in frames
        if _package(frame) == given or not _is_installed(frame)
    ]
    frame, line = theirs[-1]
    return f"{_shown(_file(frame))}:{line} in {frame.f_code.co_name}"


def _frames(traceback: TracebackType | None) -> list[tuple[FrameType, int]]:
    found = []
    while traceback is not None:
        found.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    return found


def _file(frame: FrameType) -> str:
    return os.path.abspath(frame.f_code.co_filename)  # noqa: PTH100  # a link stays one


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_ours(frame: FrameType) -> bool:
    return _file(frame).startswith(_OURS)


def _is_installed(frame: FrameType) -> bool:
    file = _file(frame)
    return file.startswith(_PYTHONS) or frame.f_code.co_filename.startswith("<frozen ")


def _shown(file: str) -> str:
    """The file below the folder its module was found in: no more of this machine is told."""
    folders = [os.path.join(os.path.abspath(each), "") for each in ("", *sys.path)]  # noqa: PTH100, PTH118
    above = [each for each in folders if file.startswith(each)]
    return file.removeprefix(max(above, key=len)) if above else Path(file).name
