"""Secrets in texts: found by their shape and by their value, and masked, in linear time.

What is logged, and every text of an error on its way into events, views, dead letters and answers,
goes through `mask_secrets`. A process tells it the secrets it holds with `learn_secrets`.
"""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

SECRET_NAME = re.compile(
    r"passw|passphrase|secret|credential|authorization|cookie|private_?key|api_?key|access_?key|"
    r"(^|[_.-])(token|jwt|bearer|pwd)$",
    re.IGNORECASE,
)
"""Names of fields and variables whose values are secrets."""

_MASK = "***"
# Each pattern begins with a text of its own and passes over the rest once: a repetition in front
# of what tells a secret from other words would look at the same characters again and again.
_ADDRESS = re.compile(r"(?<=://)([^\s/:@]*:)[^\s/]+(?=@)")
_NAMES = r"passw(?:or)?d|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|token"
_REST = r"[^\s\"',;&)]"
_SHAPES = re.compile(
    r"(?P<kept>\bbearer\s+|\bbasic\s+"
    r"(?=[\w.~+/=-]{0,64}(?:[\d+/=]|(?-i:[a-z][A-Z]))))"  # and not `a basic understanding`
    r"[A-Za-z0-9._~+/=-]{8,}"
    r"|\bsk-[A-Za-z0-9_-]{8,}"  # the providers' keys
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AIza|AKIA|hf_|gsk_)[A-Za-z0-9_-]{12,}"
    r"|(?<![\w-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"  # a JSON Web Token
    rf"|(?P<set>(?:{_NAMES}|pwd)[\"']?\s{{0,3}}=\s{{0,3}}[\"']?){_REST}+"  # password=...
    rf"|(?P<field>(?:{_NAMES})[\"']\s{{0,3}}:\s{{0,3}}[\"']){_REST}+"  # {{"password": "..."}}
    # `password: x7!`, and not `password: is missing`
    rf"|(?P<said>(?:{_NAMES}):\s{{0,3}}[\"']?)(?={_REST}{{0,64}}[\d!#$%^*@+/=]){_REST}+",
    re.IGNORECASE,
)
_SHORTEST = 6
"""Characters of a secret that is told by its value; a shorter one is part of other words."""


class _Known:
    """The secrets of this process, and the pattern that finds any of them."""

    def __init__(self) -> None:
        self.values: frozenset[str] = frozenset()
        self.pattern: re.Pattern[str] | None = None

    def add(self, values: Iterable[str]) -> None:
        wanted = {each for each in values if len(each) >= _SHORTEST}
        if wanted <= self.values:
            return
        self.values |= wanted
        longest_first = sorted(self.values, key=lambda each: (-len(each), each))
        self.pattern = re.compile("|".join(map(re.escape, longest_first)))


_known = _Known()


def learn_secrets(values: Iterable[str]) -> None:
    """Mask these values wherever they turn up; of an address, its password."""
    _known.add(part for value in values for part in _parts(value.strip()))


def mask_secrets(text: str) -> str:
    """The text with passwords, bearer tokens, keys and this process's own secrets masked."""
    if _known.pattern is not None:
        text = _known.pattern.sub(_MASK, text)
    if "://" in text:
        text = _ADDRESS.sub(rf"\1{_MASK}", text)
    return _SHAPES.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    kept = found["kept"] or found["set"] or found["field"] or found["said"] or ""
    return kept + _MASK


def _parts(value: str) -> Iterator[str]:
    _, found, rest = value.partition("://")
    if not found:
        yield value
        return
    login = rest.rpartition("@")[0]
    password = login.partition(":")[2]
    yield password
    yield unquote(password)
