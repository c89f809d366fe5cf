"""Requests to cancel, which a task shows until it has ended."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "crewline_cancels",
        sa.Column("task_id", _PLAIN, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("task_id", name="crewline_cancels_pkey"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("crewline_cancels")
