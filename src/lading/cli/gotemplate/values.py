"""The values a template sees: JSON's own, and a few that carry what Go's types would say.

A plain `dict` is a map whose missing keys are mistakes, as in ``docker inspect``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Fields(Protocol):
        """An object with fields of its own, such as a row of a table."""

        type_name: str

        def field(self, name: str) -> object:
            """The field's value, or a `Method`; KeyError if there is none."""
            ...

        def fields(self) -> Mapping[str, object]:
            """Every field without arguments, for ``json``."""
            ...


class Method:
    """A field that is called with arguments: ``.Label "name"``."""

    __slots__ = ("call", "name")

    def __init__(self, name: str, call: Callable[[str], object]) -> None:
        self.name = name
        self.call = call


class Map(dict[str, object]):
    """A map that may be asked for any key."""


class Struct(dict[str, object]):
    """An object whose fields are known to some extent.

    *zeros* are the values of fields that JSON leaves out or gives as null, *aliases* are
    Go's names where they differ from those in JSON.
    """

    __slots__ = ("aliases", "zeros")

    def __init__(
        self, fields: Mapping[str, object], zeros: Mapping[str, object], aliases: Mapping[str, str]
    ) -> None:
        super().__init__(fields)
        self.zeros = zeros
        self.aliases = aliases

    def __getitem__(self, name: str) -> object:
        real = self.aliases.get(name, name)
        value = self.get(real)
        if value is None and (real in self.zeros or real not in self):
            return self.zeros[real]
        return value


class NilList(list[object]):
    """A list that is not there: empty to a template, null in JSON."""


class NilMap(Map):
    """A map that is not there: empty to a template, null in JSON."""


class Nil:
    """A pointer to nothing: false, and printed as Go prints it."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


NIL = Nil()


def type_name(value: object) -> str:
    """What Go would call the value's type, in an error message."""
    if isinstance(value, bool):
        return "bool"
    names = {int: "int", float: "float64", str: "string", list: "[]interface {}"}
    for kind, name in names.items():
        if isinstance(value, kind):
            return name
    if isinstance(value, dict):
        return "map[string]interface {}"
    return str(getattr(value, "type_name", "<nil>"))


def truth(value: object) -> bool:
    """Whether ``if`` takes the value for true: not zero, not empty, not nil."""
    if hasattr(value, "type_name"):
        return True
    return bool(value)
