"""One pattern of ``.dockerignore`` as something that matches a path, in linear time (pure).

``*`` and ``?`` stay within a name, ``**`` crosses directories (none included), ``[a-z]`` and
``[^a-z]`` are one character, a backslash takes the next one as it is.  A pattern that keeps
to whole names becomes an expression that never goes back; one that does not (``a**b``) is
followed state by state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

Matcher = Callable[[str], bool]
Token = tuple[str, str]  # what it is, and a character or the expression of a class

_SLASH: Token = ("char", "/")
_AT_ONCE = 200


class Kind(Enum):
    """How a pattern is looked for."""

    NAME = "a path as it is"
    DIRECTORY = "all below a path"
    TAIL = "all paths that end in these names"
    WILD = "by its expression"


@dataclass(frozen=True, slots=True)
class Pattern:
    """*text* is the path of a pattern that is not WILD; *literal_directory* what is certain."""

    kind: Kind
    text: str
    tokens: tuple[Token, ...]
    literal_directory: str

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """*text* is clean (`posixpath.normpath`); ValueError for bad syntax."""
        tokens = tuple(_tokens(text))
        plain = "".join(value for what, value in tokens if what == "char")
        others = [at for at, (what, _) in enumerate(tokens) if what != "char"]
        first = others[0] if others else len(tokens)
        certain = "".join(value for _, value in tokens[:first])
        directory = certain.rpartition("/")[0]
        kind = Kind.WILD
        if not others:
            kind = Kind.NAME
        elif others == [len(tokens) - 1] and tokens[-1][0] == "rest" and certain.endswith("/"):
            kind, plain = Kind.DIRECTORY, certain[:-1]
        elif others == [0] and tokens[0][0] == "tree" and len(tokens) > 1:
            kind = Kind.TAIL
        return cls(kind, plain, tokens, directory)


def compiled(patterns: Sequence[Pattern]) -> Matcher:
    """Whether any of *patterns* matches."""
    regular = [_expression(p.tokens) for p in patterns if is_regular(p.tokens)]
    groups = [regular[at : at + _AT_ONCE] for at in range(0, len(regular), _AT_ONCE)]
    tests = [re.compile("|".join(group), re.DOTALL).match for group in groups]
    others = [_follower(p.tokens) for p in patterns if not is_regular(p.tokens)]

    def matches(path: str) -> bool:
        return any(test(path) for test in tests) or any(other(path) for other in others)

    return matches


def _tokens(text: str) -> Iterator[Token]:
    """``tree`` is any directories, or none; ``rest`` is anything; the others say it."""
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*" and text[at : at + 1] == "*":
            token, at = _double_star(text, at + 1)
            yield token
        elif char == "*":
            yield ("star", "")
        elif char == "?":
            yield ("any", "[^/]")
        elif char == "[":
            expression, at = _class(text, at)
            yield ("class", expression)
        elif char == "\\":
            if at == len(text):
                raise ValueError(text)
            yield ("char", text[at])
            at += 1
        else:
            yield ("char", char)


def _double_star(text: str, at: int) -> tuple[Token, int]:
    """What the two stars before *at* mean; a slash behind them belongs to them."""
    begins = at == 2
    has_slash = text[at : at + 1] == "/"
    at += has_slash
    if at == len(text):
        return ("rest", ""), at
    if begins and not has_slash and not set(text[at:]) & set("*?[\\"):
        return ("rest", ""), at  # ``**name`` is any path that ends so
    return ("tree", ""), at


def _class(text: str, at: int) -> tuple[str, int]:
    """The expression of the class whose bracket is open, and where it ends."""
    negated = text[at : at + 1] == "^"
    at += negated
    ranges: list[str] = []
    while not (ranges and text[at : at + 1] == "]"):
        low, at = _member(text, at)
        high = low
        if text[at : at + 1] == "-":
            high, at = _member(text, at + 1)
        ranges += [f"{re.escape(low)}-{re.escape(high)}"] if low <= high else [""]
    within = "".join(ranges)
    if not within:
        return ("(?s:.)" if negated else "(?!)"), at + 1
    return f"[{'^' if negated else ''}{within}]", at + 1


def _member(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] in ("", "-", "]"):
        raise ValueError(text)
    at += text[at] == "\\"
    if at + 1 >= len(text):
        raise ValueError(text)
    return text[at], at + 1


def is_regular(tokens: Sequence[Token]) -> bool:
    """Whether ``**`` stands where a name begins, and no class takes a slash for a character."""
    before: Token = _SLASH
    for at, token in enumerate(tokens):
        begins_name = before in (_SLASH, ("tree", ""))
        last = at == len(tokens) - 1
        if token[0] == "tree" and not begins_name:
            return False
        if token[0] == "rest" and not last:
            return False
        if token[0] == "class" and re.match(token[1], "/"):
            return False
        before = token
    return True


def _expression(tokens: Sequence[Token]) -> str:
    """Parts between ``**``: where one fits first, it stays."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token[0] == "tree":
            parts.append([])
        else:
            parts[-1].append(token)
    first, *others = (_part(part, last=at == len(parts) - 1) for at, part in enumerate(parts))
    return first + "".join(f"(?>(?:[^/]*+/)*?{part})" for part in others)


def _part(tokens: Sequence[Token], *, last: bool) -> str:
    """Names between ``**``: in each, the text behind a star is found once, and stays there."""
    end = r"\Z" if last else ""
    pieces: list[str] = [""]
    out = ""
    for token in tokens:
        if token[0] == "star":
            pieces.append("")
        elif token[0] == "rest":
            return out + _name(pieces, "")
        elif token == _SLASH:
            out, pieces = out + _name(pieces, "(?=/)") + "/", [""]
        else:
            pieces[-1] += re.escape(token[1]) if token[0] == "char" else token[1]
    return out + _name(pieces, end)


def _name(pieces: Sequence[str], end: str) -> str:
    first, *others = pieces
    if not others:
        return first + end
    *middle, last = others
    found = "".join(f"(?>[^/]*?{piece})" for piece in middle)
    return first + found + (f"(?>[^/]*?{last}{end})" if last or not end else f"[^/]*+{end}")


def _follower(tokens: Sequence[Token]) -> Matcher:
    """Walk all states at once: bit n is set where the first n tokens have matched."""
    loops = sum(1 << at for at, (what, _) in enumerate(tokens) if what in ("star", "rest"))
    trees = sum(1 << at for at, (what, _) in enumerate(tokens) if what == "tree")
    tests = [_test(token) for token in tokens]
    taken: dict[str, int] = {}

    def taking(char: str) -> int:
        """The tokens that *char* matches."""
        if char not in taken:
            taken[char] = sum(1 << at for at, test in enumerate(tests) if test(char))
        return taken[char]

    def with_skipped(states: int) -> int:
        """What may match nothing is passed."""
        while (more := states | (states & (loops | trees)) << 1) != states:
            states = more
        return states

    def matches(path: str) -> bool:
        states = with_skipped(1)
        inside = states & trees
        for char in path:
            hit = states & taking(char)
            after = (hit & loops) | (hit & ~loops) << 1
            states = with_skipped(after | (inside << 1 if char == "/" else 0))
            inside |= states & trees
        return bool(states >> len(tokens))

    return matches


def _test(token: Token) -> Callable[[str], bool]:
    what, value = token
    if what in ("tree", "rest"):
        return lambda char: what == "rest"
    if what == "char":
        return lambda char: char == value
    expression = re.compile("[^/]" if what == "star" else value, re.DOTALL)
    return lambda char: expression.match(char) is not None
