"""The processes, their settings, and the one place that composes them."""
