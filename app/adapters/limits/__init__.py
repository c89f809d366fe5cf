"""Limits on asking chat models: how many at once, how fast, and when not at all."""
