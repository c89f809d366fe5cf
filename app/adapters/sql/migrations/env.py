"""Alembic runs this file: it migrates over the connection that `migrate` holds open."""

from alembic import context

from app.adapters.sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="crewline_schema",
)
context.run_migrations()
