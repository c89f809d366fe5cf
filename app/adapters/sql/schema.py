"""The tables as the code sees them; how they came to be is told by the migrations.

Times are milliseconds since 1970, which sort and compare alike on every database. Text is
compared byte by byte (collation "C"), so that both databases put rows in the same order.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

PLAIN = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData()

tasks = Table(
    "crewline_tasks",
    metadata,
    Column("id", PLAIN, nullable=False),
    Column("agent", PLAIN, nullable=False),
    Column("state", PLAIN, nullable=False),
    Column("reason", PLAIN),
    Column("context_id", PLAIN),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("command", Text),
    Column("traceparent", Text),
    Column("progress", Text),
    Column("written_at", BigInteger),
    Column("topic", PLAIN),
    Column("partition", Integer),
    Column("position", BigInteger),
    PrimaryKeyConstraint("id", name="crewline_tasks_pkey"),
)
"""A command half and a progress half, written by the topics they come from; see `view_store`.
The last four columns are where the latest message that asks for the task stands in the log."""

Index("crewline_tasks_newest", tasks.c.created_at, tasks.c.id)
Index("crewline_tasks_by_state", tasks.c.state, tasks.c.created_at, tasks.c.id)
Index("crewline_tasks_by_agent", tasks.c.agent, tasks.c.created_at, tasks.c.id)
Index(
    "crewline_tasks_by_context",
    tasks.c.context_id,
    tasks.c.created_at,
    tasks.c.id,
    sqlite_where=tasks.c.context_id.is_not(None),
    postgresql_where=tasks.c.context_id.is_not(None),
)

labels = Table(
    "crewline_task_labels",
    metadata,
    Column("key", PLAIN, nullable=False),
    Column("value", PLAIN, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("task_id", PLAIN, nullable=False),
    PrimaryKeyConstraint("key", "value", "created_at", "task_id", name="crewline_labels_pkey"),
    sqlite_with_rowid=False,
)
"""One row per label, because one index over rows serves both databases alike; JSON would not.
With the task's creation in it, a page of a label that every task has is read as fast as any."""

events = Table(
    "crewline_task_events",
    metadata,
    Column("task_id", PLAIN, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("type", PLAIN, nullable=False),
    Column("body", Text, nullable=False),
    Column("traceparent", Text),
    PrimaryKeyConstraint("task_id", "attempt", "sequence", "type", name="crewline_events_pkey"),
    sqlite_with_rowid=False,
)
"""Keyed by type too: each type lives in one topic, so what the first one is does not depend
on which topic was read first, and the ending of a repeated run is never taken for a repeat."""

cancels = Table(
    "crewline_cancels",
    metadata,
    Column("task_id", PLAIN, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("task_id", name="crewline_cancels_pkey"),
    sqlite_with_rowid=False,
)
"""The latest request to cancel each task. A table of its own: such a request may come before
anything else is known of its task, and then there is no task yet to read or to list."""

dead_letters = Table(
    "crewline_dead_letters",
    metadata,
    Column("id", PLAIN, nullable=False),
    Column("state", PLAIN, nullable=False),
    Column("at", BigInteger),
    Column("agent", PLAIN),
    Column("reason", PLAIN),
    Column("lies_in", Integer),
    Column("lies_at", BigInteger),
    Column("letter", Text),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", Text),
    Column("settled", Text),
    PrimaryKeyConstraint("id", name="crewline_dead_letters_pkey"),
)
"""A letter and what was done about it, which stand in partitions of their own: either half may
come first, and one without a letter is not shown. `lies_in` and `lies_at` are where it lies in
its own topic."""

Index("crewline_dead_letters_newest", dead_letters.c.at, dead_letters.c.id)
Index("crewline_dead_letters_by_state", dead_letters.c.state, dead_letters.c.at, dead_letters.c.id)
Index("crewline_dead_letters_by_agent", dead_letters.c.agent, dead_letters.c.at, dead_letters.c.id)

offsets = Table(
    "crewline_offsets",
    metadata,
    Column("topic", PLAIN, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("next", BigInteger, nullable=False),
    PrimaryKeyConstraint("topic", "partition", name="crewline_offsets_pkey"),
)
