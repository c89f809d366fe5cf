"""One verb per file, speaking only to ports."""
