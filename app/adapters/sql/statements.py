"""The writing statements, as text for the driver: built once, not once per row.

A batch has thousands of rows; SQLAlchemy's own treatment of each would cost more than SQLite's.
"""

from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Executable,
    and_,
    bindparam,
    case,
    literal_column,
    or_,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.adapters.sql.schema import cancels, dead_letters, events, labels, offsets, tasks
from app.domain.model.letters import LetterState


@dataclass(frozen=True, slots=True)
class Statements:
    """Each takes tuples in the order of its table's columns."""

    write_tasks: str
    add_events: str
    add_labels: str
    write_cancels: str
    write_letters: str
    settle_letters: str
    add_offsets: str
    move_offsets: str
    """Takes the next offset, then topic and partition."""


def statements_for(dialect: Dialect) -> Statements:
    insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    move = (
        update(offsets)
        .values(next=bindparam("to"))
        .where(offsets.c.topic == bindparam("of_topic"))
        .where(offsets.c.partition == bindparam("of_partition"))
    )
    return Statements(
        write_tasks=_text(_write_tasks(insert(tasks)), dialect, tasks.c.keys()),
        add_events=_text(insert(events).on_conflict_do_nothing(), dialect, events.c.keys()),
        add_labels=_text(insert(labels).on_conflict_do_nothing(), dialect, labels.c.keys()),
        write_cancels=_text(_write_cancels(insert(cancels)), dialect, cancels.c.keys()),
        write_letters=_text(_write_letters(insert(dead_letters)), dialect, dead_letters.c.keys()),
        settle_letters=_text(_settle_letters(insert(dead_letters)), dialect, dead_letters.c.keys()),
        add_offsets=_text(insert(offsets).on_conflict_do_nothing(), dialect, offsets.c.keys()),
        move_offsets=_text(move, dialect, ["to", "of_topic", "of_partition"]),
    )


_PLACE = ("written_at", "topic", "partition", "position")
"""Where the latest message stands, in the order of `CommandPlace`."""


def _write_tasks(insert: postgresql.Insert | sqlite.Insert) -> Executable:
    """Each half fills only its own columns, so that the order of the two does not matter.

    A command stays as it was first seen; progress replaces what was known of it.
    """
    new = insert.excluded
    keep_first = {
        name: case((tasks.c.command.is_not(None), tasks.c[name]), else_=new[name])
        for name in ("agent", "context_id", "created_at", "command", "traceparent")
    }
    take_latest = {
        name: case((new.progress.is_not(None), new[name]), else_=tasks.c[name])
        for name in ("state", "reason", "updated_at", "progress")
    }
    later = and_(
        new.topic.is_not(None),
        or_(
            tasks.c.topic.is_(None),
            tuple_(*(tasks.c[name] for name in _PLACE)) < tuple_(*(new[name] for name in _PLACE)),
        ),
    )
    place = {name: case((later, new[name]), else_=tasks.c[name]) for name in _PLACE}
    changes = {**keep_first, **take_latest, **place}
    return insert.on_conflict_do_update(index_elements=["id"], set_=changes)


def _write_cancels(insert: postgresql.Insert | sqlite.Insert) -> Executable:
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["task_id"],
        set_={"at": new.at, "body": new.body},
        where=cancels.c.at <= new.at,
    )


_LETTER_HALF = dead_letters.c.keys()[2:-1]
"""All but the id, and what was done about it."""


def _write_letters(insert: postgresql.Insert | sqlite.Insert) -> Executable:
    """Of several letters for one message, the one that was set aside last."""
    new, old = insert.excluded, dead_letters.c
    return insert.on_conflict_do_update(
        index_elements=["id"],
        set_={name: new[name] for name in _LETTER_HALF},
        where=or_(
            old.at.is_(None),
            tuple_(old.at, old.lies_in, old.lies_at) <= tuple_(new.at, new.lies_in, new.lies_at),
        ),
    )


_DISCARDED: ColumnElement[str] = literal_column(f"'{LetterState.DISCARDED.value}'")
_REDRIVEN: ColumnElement[str] = literal_column(f"'{LetterState.REDRIVEN.value}'")


def _settle_letters(insert: postgresql.Insert | sqlite.Insert) -> Executable:
    """The first word stays, but a letter that was sent again was, whoever discarded it before."""
    new, old = insert.excluded, dead_letters.c
    return insert.on_conflict_do_update(
        index_elements=["id"],
        set_={"state": new.state, "settled": new.settled},
        where=or_(old.settled.is_(None), and_(old.state == _DISCARDED, new.state == _REDRIVEN)),
    )


def _text(statement: Executable, dialect: Dialect, parameters: list[str]) -> str:
    compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
    if compiled.positiontup != parameters:
        raise AssertionError(f"{compiled} takes {compiled.positiontup}, not {parameters}")
    return str(compiled)
