"""Views on SQLite and PostgreSQL."""
