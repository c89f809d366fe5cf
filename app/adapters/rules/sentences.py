"""Splits a text into statements: sentences, list items and headings, in order."""

import re
from dataclasses import dataclass

_BULLET = re.compile(r"^\s*(?:[-*•–+]|\(?\d{1,2}[.)]|[a-z]\))\s+")  # noqa: RUF001 - a dash as bullet
_HEADING = re.compile(r"\s*#{1,6}\s")
_BOLD = ("**", "__")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[^\W_])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|ca|approx|etc|vs|incl|max|min|Mio|Mrd|z\.B|d\.h|Nr|No|Art|Dr|Mr|Mrs|St|bzw|inkl)|(?:^|\s)\d{1,2})\.$"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing a text says, and where it begins."""

    text: str
    start: int
    is_item: bool = False
    is_heading: bool = False


def statements(text: str) -> tuple[Statement, ...]:
    """Line breaks inside a paragraph do not end a sentence; blank lines and list marks do."""
    found: list[Statement] = []
    block: list[str] = []
    block_start = position = 0
    item = False

    def close() -> None:
        if block:
            found.extend(_sentences("\n".join(block), block_start, item))
            block.clear()

    for raw in text.split("\n"):
        if mark := _BULLET.match(raw):
            close()
            block_start, item = position + mark.end(), True
            block.append(raw[mark.end() :])
        elif not raw.strip():
            close()
            item = False
        elif _is_heading(raw) or (len(raw) < 80 and raw.rstrip().endswith(":") and not block):
            close()
            item = False
            title = raw.strip().strip("#*_").strip().rstrip(":")
            found.append(Statement(title, position, is_heading=True))
        else:
            if not block:
                block_start = position
            block.append(raw)
        position += len(raw) + 1
    close()
    return tuple(each for each in found if each.text)


def _is_heading(line: str) -> bool:
    """`# so`, or all of the line **so**."""
    if _HEADING.match(line):
        return True
    line = line.strip()
    inner = line[2:].removesuffix(":").rstrip()
    return line.startswith(_BOLD) and inner.endswith(_BOLD)


def _sentences(block: str, start: int, item: bool) -> list[Statement]:
    """A block's sentences; a stop after an abbreviation or a number does not end one."""
    found: list[Statement] = []
    begin = 0
    for gap in _SENTENCE_END.finditer(block):
        if _ABBREVIATION.search(block[max(0, gap.start() - 12) : gap.start()]):
            continue
        found.append(_statement(block, begin, gap.start(), start, item))
        begin = gap.end()
    found.append(_statement(block, begin, len(block), start, item))
    return found


def _statement(block: str, begin: int, end: int, start: int, item: bool) -> Statement:
    return Statement(" ".join(block[begin:end].split()), start + begin, is_item=item)
