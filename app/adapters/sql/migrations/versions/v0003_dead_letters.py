"""Dead letters, and what was done about them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TABLE = "crewline_dead_letters"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("id", _PLAIN, nullable=False),
        sa.Column("state", _PLAIN, nullable=False),
        sa.Column("at", sa.BigInteger),
        sa.Column("agent", _PLAIN),
        sa.Column("reason", _PLAIN),
        sa.Column("lies_in", sa.Integer),
        sa.Column("lies_at", sa.BigInteger),
        sa.Column("letter", sa.Text),
        sa.Column("key", sa.LargeBinary),
        sa.Column("value", sa.LargeBinary),
        sa.Column("headers", sa.Text),
        sa.Column("settled", sa.Text),
        sa.PrimaryKeyConstraint("id", name="crewline_dead_letters_pkey"),
    )
    op.create_index("crewline_dead_letters_newest", _TABLE, ["at", "id"])
    op.create_index("crewline_dead_letters_by_state", _TABLE, ["state", "at", "id"])
    op.create_index("crewline_dead_letters_by_agent", _TABLE, ["agent", "at", "id"])


def downgrade() -> None:
    op.drop_table(_TABLE)
