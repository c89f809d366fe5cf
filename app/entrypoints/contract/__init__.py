"""The published contract of the topics, as it ships: see `asyncapi.json` and `schemas/` beside."""
