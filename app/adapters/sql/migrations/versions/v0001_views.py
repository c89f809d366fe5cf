"""The views: tasks, their labels and events, and how far the log is folded into them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "crewline_tasks",
        sa.Column("id", _PLAIN, nullable=False),
        sa.Column("agent", _PLAIN, nullable=False),
        sa.Column("state", _PLAIN, nullable=False),
        sa.Column("reason", _PLAIN),
        sa.Column("context_id", _PLAIN),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("command", sa.Text),
        sa.Column("traceparent", sa.Text),
        sa.Column("progress", sa.Text),
        sa.PrimaryKeyConstraint("id", name="crewline_tasks_pkey"),
    )
    op.create_index("crewline_tasks_newest", "crewline_tasks", ["created_at", "id"])
    op.create_index("crewline_tasks_by_state", "crewline_tasks", ["state", "created_at", "id"])
    op.create_index("crewline_tasks_by_agent", "crewline_tasks", ["agent", "created_at", "id"])
    in_context = sa.text("context_id IS NOT NULL")
    op.create_index(
        "crewline_tasks_by_context",
        "crewline_tasks",
        ["context_id", "created_at", "id"],
        sqlite_where=in_context,
        postgresql_where=in_context,
    )
    op.create_table(
        "crewline_task_labels",
        sa.Column("key", _PLAIN, nullable=False),
        sa.Column("value", _PLAIN, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("task_id", _PLAIN, nullable=False),
        sa.PrimaryKeyConstraint(
            "key", "value", "created_at", "task_id", name="crewline_labels_pkey"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "crewline_task_events",
        sa.Column("task_id", _PLAIN, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("type", _PLAIN, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("traceparent", sa.Text),
        sa.PrimaryKeyConstraint(
            "task_id", "attempt", "sequence", "type", name="crewline_events_pkey"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "crewline_offsets",
        sa.Column("topic", _PLAIN, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("next", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name="crewline_offsets_pkey"),
    )


def downgrade() -> None:
    for table in ("offsets", "task_events", "task_labels", "tasks"):
        op.drop_table(f"crewline_{table}")
