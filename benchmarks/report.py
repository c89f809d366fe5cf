"""The figures as tables, each with its ratio to the first row's."""

from collections.abc import Mapping, Sequence

from benchmarks.figures import Figures

Results = Mapping[str, Mapping[str, Figures]]
"""By the title of the system, then by measurement."""

SPEED = {
    "p50 ms": "p50_ms",
    "p99 ms": "p99_ms",
    "no-ops/s": "per_second",
    "64 x 1 s, s": "side_by_side_s",
    "memory, MB": "memory_mb",
    "start, s": "start_s",
}

NOTHING_WRONG = {"speed", "side by side"}
"""The measurements whose figures stand in one row."""

MORE = {
    "HTTP accepted at 100/s, p50 ms": ("accept_p50_ms", None),
    "HTTP accepted at 100/s, p99 ms": ("accept_p99_ms", None),
    "HTTP to result (`Prefer: wait`) at 100/s, p50 ms": ("result_p50_ms", "p50_ms"),
    "HTTP to result (`Prefer: wait`) at 100/s, p99 ms": ("result_p99_ms", "p99_ms"),
    "no-ops/s, topic to view": ("to_view_per_second", "per_second"),
    "memory of gateway, worker and projector, MB": ("all_memory_mb", "memory_mb"),
}
"""What only Crewline has, and which figure of the others it may be set beside."""


def speed(results: Results) -> str:
    """Latency at 100/s, throughput, slots, memory and start of each system."""
    merged = {
        title: _merged(each) for title, each in results.items() if each.keys() & NOTHING_WRONG
    }
    first = next(iter(merged.values()), {})
    rows = [["", *SPEED]]
    for title, figures in merged.items():
        cells = [_beside(figures, first, name) for name in SPEED.values()]
        rows.append([title, *cells])
    return table(rows)


def crashes(results: Results, patience: float) -> str:
    """For each kill moment what never came back, what ran needlessly again, and how soon."""
    moments = list(dict.fromkeys(m for each in results.values() for m in each if "crash" in m))
    rows = [["", *(_moment(moment) for moment in moments)]]
    for title, each in results.items():
        if any(moment in each for moment in moments):
            cells = [_crash(each.get(moment), patience) for moment in moments]
            rows.append([title, *cells])
    return table(rows)


def more(results: Results, title: str) -> str:
    """What only one system has, with its ratio to the nearest figure of the others."""
    figures = results[title]["more"]
    others = {name: _merged(each) for name, each in results.items() if "speed" in each}
    others.pop(title, None)
    rows = [["", title, *(f"x {name}" for name in others)]]
    for what, (ours, theirs) in MORE.items():
        figure = figures[ours] or 0
        beside = [other.get(theirs) if theirs else None for other in others.values()]
        ratios = [_number(figure / each) if each else "" for each in beside]
        rows.append([what, _number(figure), *ratios])
    return table(rows)


def plain(figures: Figures) -> str:
    """The figures of one measurement in a line."""
    return ", ".join(f"{name} {_number(figure)}" for name, figure in figures.items())


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown, with columns as wide as they need to be."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "| " + " | ".join(cells) + " |"


def _merged(measurements: Mapping[str, Figures]) -> Figures:
    return {name: figure for each in measurements.values() for name, figure in each.items()}


def _beside(figures: Figures, first: Figures, name: str) -> str:
    if name not in figures:
        return "-"
    figure, yardstick = figures[name], first.get(name)
    if figure is None:
        return f"not in time ({figures['side_by_side_done']} done)"
    failed = f", {figures['failed']} failed" if name == "p99_ms" and figures["failed"] else ""
    if figures is first or not yardstick:
        return _number(figure) + failed
    return f"{_number(figure)}{failed} ({_number(figure / yardstick)}x)"


def _crash(figures: Figures | None, patience: float) -> str:
    if figures is None:
        return "-"
    after = figures["after_s"]
    never = f"never in {patience:.0f} s" if figures["interrupted"] else "none was running"
    when = never if after is None else f"{after:.1f} s"
    return f"{figures['missing']} / {figures['again']} / {when}"


def _moment(measurement: str) -> str:
    what = measurement.removeprefix("crash ")
    return "for good, a second worker there" if what == "for good" else f"{what} s"


def _number(figure: float | None) -> str:
    if figure is None:
        return "-"
    if isinstance(figure, int) or figure >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if figure >= 1 else f"{figure:.2f}"
