"""One technology per folder. Adapters do not know each other."""
