"""The real adapters against real servers."""
