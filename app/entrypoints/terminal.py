"""Texts from outside on their way to a terminal: what could rewrite its screen is left out.

Whatever a task, an agent or a broker says goes through `printable` before a person sees it, in the
command line and in logs; JSON keeps every value and goes through `printable_json`.
"""

import json
import re
import unicodedata

_OTHER = re.compile("[^\n -~]")
_UNSEEN = frozenset(("Cc", "Cf", "Cs"))
"""Control characters (C0 and C1), those that turn the direction of a text or are not seen at all,
and halves of characters."""
_SEPARATORS = frozenset(("Zl", "Zp"))
"""Ends of lines for some programs alone."""
_KEPT = frozenset("\t\n\u200c\u200d")
"""Letters and emoji of several parts are joined by the last two."""


def printable(text: str) -> str:
    """The text without the characters that could rewrite a screen, or say other than they show."""
    return text if text.isprintable() else "".join(map(_seen, text))


def printable_json(text: str) -> str:
    """JSON of the same value in which what does not print is escaped."""
    return text if text.isprintable() else _OTHER.sub(_escaped, text)


def _seen(char: str) -> str:
    if char in _KEPT:
        return char
    kind = unicodedata.category(char)
    return " " if kind in _SEPARATORS else "" if kind in _UNSEEN else char


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    return char if char.isprintable() else json.dumps(char)[1:-1]
