"""Spans around ports and use cases."""
