"""One module for each system: its client, and the worker that its tasks run in."""
