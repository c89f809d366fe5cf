"""What CrewAI reads while it is imported: no telemetry, no signal handlers, no files of ours.

Left alone it sends usage statistics, replaces the signal handlers a worker shuts down by, reads a
`.env` it finds, and fails where the home directory cannot be written, as in most containers.
`OTEL_SDK_DISABLED` would silence it too, and with it our own traces.
"""

import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

_FIXED = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",  # a crew that is verbose asks PyPI
    "CREWAI_TESTING": "true",  # it never asks a question on the terminal
    "PYTHON_DOTENV_DISABLED": "1",
}


def settle(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set the variables; a storage folder somebody chose is kept."""
    environ.update(_FIXED)
    environ.setdefault("CREWAI_STORAGE_DIR", str(_scratch()))
    homes = {"XDG_DATA_HOME": ".local/share", "XDG_CONFIG_HOME": ".config"}
    for variable, usual in homes.items():
        if not _writable(Path(environ.get(variable) or Path.home() / usual)):
            environ[variable] = str(_scratch())


def _scratch() -> Path:
    return Path(tempfile.gettempdir()) / f"crewline-crewai-{os.getuid()}"


def _writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
