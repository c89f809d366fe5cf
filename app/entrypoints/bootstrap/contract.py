"""The published contract of the topics, from the adapter that knows them."""

from collections.abc import Mapping


def contract_files() -> Mapping[str, str]:
    """Every published file by its path; only whoever writes them loads what describes them."""
    from app.adapters.kafka import channels  # noqa: PLC0415  FastStream, which no process runs

    return channels.contract_files()
