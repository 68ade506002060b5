"""What a template parses to.

Every node knows where it stands, and `str(node)` is the source that Go prints for it in
error messages.
"""

from __future__ import annotations

from collections.abc import Sequence


class Node:
    """Anything at a place in the template."""

    __slots__ = ("at",)

    def __init__(self, at: int) -> None:
        self.at = at


class Text(Node):
    """Copied to the output as it is."""

    __slots__ = ("text",)

    def __init__(self, at: int, text: str) -> None:
        super().__init__(at)
        self.text = text


class Dot(Node):
    """``.``, the value at hand."""

    __slots__ = ()

    def __str__(self) -> str:
        return "."


class Nil(Node):
    """``nil``, allowed as an argument only."""

    __slots__ = ()

    def __str__(self) -> str:
        return "nil"


class Constant(Node):
    """A number, a string or a boolean, and how it was written."""

    __slots__ = ("source", "value")

    def __init__(self, at: int, value: object, source: str) -> None:
        super().__init__(at)
        self.value = value
        self.source = source

    def __str__(self) -> str:
        return self.source


class Field(Node):
    """``.A.B``: fields of the value at hand."""

    __slots__ = ("names",)

    def __init__(self, at: int, names: Sequence[str]) -> None:
        super().__init__(at)
        self.names = tuple(names)

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


class Variable(Node):
    """``$x.A.B``: a variable, and fields of it."""

    __slots__ = ("name", "names")

    def __init__(self, at: int, name: str, names: Sequence[str]) -> None:
        super().__init__(at)
        self.name = name
        self.names = tuple(names)

    def __str__(self) -> str:
        return ".".join((self.name, *self.names))


class Chain(Node):
    """``(pipeline).A.B``: fields of what the parentheses give."""

    __slots__ = ("inner", "names")

    def __init__(self, at: int, inner: Node, names: Sequence[str]) -> None:
        super().__init__(at)
        self.inner = inner
        self.names = tuple(names)

    def __str__(self) -> str:
        inner = f"({self.inner})" if isinstance(self.inner, Pipe) else str(self.inner)
        return ".".join((inner, *self.names))


class Function(Node):
    """A function's name."""

    __slots__ = ("name",)

    def __init__(self, at: int, name: str) -> None:
        super().__init__(at)
        self.name = name

    def __str__(self) -> str:
        return self.name


class Command(Node):
    """Words side by side: a function or a field with its arguments."""

    __slots__ = ("words",)

    def __init__(self, at: int, words: Sequence[Node]) -> None:
        super().__init__(at)
        self.words = tuple(words)

    def __str__(self) -> str:
        return " ".join(f"({word})" if isinstance(word, Pipe) else str(word) for word in self.words)


class Pipe(Node):
    """Commands joined by ``|``, perhaps kept in variables."""

    __slots__ = ("assigns", "commands", "variables")

    def __init__(
        self, at: int, variables: Sequence[str], assigns: bool, commands: Sequence[Command]
    ) -> None:
        super().__init__(at)
        self.variables = tuple(variables)
        self.assigns = assigns  # ``=`` changes a variable, ``:=`` makes one
        self.commands = tuple(commands)

    def __str__(self) -> str:
        sign = " = " if self.assigns else " := "
        kept = ", ".join(self.variables) + sign if self.variables else ""
        return kept + " | ".join(map(str, self.commands))


class Action(Node):
    """A pipeline whose value is printed."""

    __slots__ = ("pipe",)

    def __init__(self, at: int, pipe: Pipe) -> None:
        super().__init__(at)
        self.pipe = pipe


class Branch(Node):
    """``if``, ``with`` or ``range``: a pipeline and what to do of it."""

    __slots__ = ("body", "otherwise", "pipe", "word")

    def __init__(
        self, at: int, word: str, pipe: Pipe, body: Sequence[Node], otherwise: Sequence[Node]
    ) -> None:
        super().__init__(at)
        self.word = word
        self.pipe = pipe
        self.body = tuple(body)
        self.otherwise = tuple(otherwise)


class Leave(Node):
    """``break`` or ``continue``."""

    __slots__ = ("word",)

    def __init__(self, at: int, word: str) -> None:
        super().__init__(at)
        self.word = word
