"""Makes Python names of people's words, whatever the words are."""

import builtins
import keyword
import re
import sys
import unicodedata

_GERMAN = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"}
)
_TAKEN_FIELDS = {"date", "Decimal", "dataclass", "self", "cls", "text", "Store", "id"}
_TAKEN_CLASSES = {"Store", "Decimal", "Generic", "TypeVar", "Test", "Any"}
_LONGEST = 40


def words_of(text: str) -> list[str]:
    """A text's words in plain ASCII letters and digits; what has no such letters is left out."""
    plain = unicodedata.normalize("NFKD", text.translate(_GERMAN))
    return re.findall(r"[A-Za-z0-9]+", plain.encode("ascii", "ignore").decode())


def field_name(text: str) -> str | None:
    """A field's name, with an underscore where Python or the template has taken it."""
    name = "_".join(words_of(text)).lower()[:_LONGEST].strip("_")
    if not name:
        return None
    if name[0].isdigit():
        name = f"n_{name}"
    taken = keyword.iskeyword(name) or hasattr(builtins, name) or name in _TAKEN_FIELDS
    return f"{name}_" if taken else name


def class_name(text: str) -> str | None:
    """A class's name; one that Python or the project has taken becomes an entry."""
    name = "".join(word[:1].upper() + word[1:] for word in words_of(text))[:_LONGEST]
    if not name:
        return None
    if name[0].isdigit():
        name = f"N{name}"
    taken = keyword.iskeyword(name) or hasattr(builtins, name) or name in _TAKEN_CLASSES
    return f"{name}Entry" if taken or name.startswith("Test") else name


def snake(name: str) -> str:
    """TrackingEvent as tracking_event."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def package_name(title: str, fallback: str) -> str:
    """A package's name of two to four words, so that it never hides another package."""
    small = {"a", "an", "the", "for", "of", "and", "with", "to", "in", "on", "our", "my", "s"}
    words = [word.lower() for word in words_of(title) if word.lower() not in small][:4]
    words = words or [snake(fallback)]
    if words[0][0].isdigit():
        words.insert(0, "project")
    name = "_".join(words) if len(words) > 1 else f"{words[0]}_app"
    name = name[:_LONGEST].strip("_")
    return f"{name}_app" if name in sys.stdlib_module_names or keyword.iskeyword(name) else name
