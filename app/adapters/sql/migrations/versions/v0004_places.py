"""Where the message of each task stands in the log."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TABLE = "crewline_tasks"
_COLUMNS = ("written_at", "topic", "partition", "position")


def upgrade() -> None:
    op.add_column(_TABLE, sa.Column("written_at", sa.BigInteger))
    op.add_column(_TABLE, sa.Column("topic", _PLAIN))
    op.add_column(_TABLE, sa.Column("partition", sa.Integer))
    op.add_column(_TABLE, sa.Column("position", sa.BigInteger))


def downgrade() -> None:
    for name in _COLUMNS:
        op.drop_column(_TABLE, name)
