"""Pure rules: the standard library and pydantic only. No clock, no I/O."""
