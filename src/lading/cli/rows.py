"""Lists of things: as Docker's table, as ``--format`` asks, or as names alone.

A `Shape` says what may be known of a thing and how; a plain table needs no template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from lading.cli.faults import Fault
from lading.cli.table import aligned, of_text

TYPE_CHECKING = False  # `typing` costs 4 ms of each command's start
if TYPE_CHECKING:
    from typing import Any

    from lading.cli.gotemplate import Template

    Item = Mapping[str, Any]
    Show = Callable[[Item], object]


class Shape:
    """What one kind of thing shows.

    *fields* are Docker's names with their headers; *columns* those of the plain table;
    *methods* take an argument; *hidden* ones are not part of ``json``.
    """

    __slots__ = ("columns", "fields", "hidden", "methods", "type_name")

    def __init__(
        self,
        type_name: str,
        fields: Mapping[str, tuple[str, Show]],
        columns: Sequence[str],
        *,
        methods: Mapping[str, Callable[[Item, str], object]] | None = None,
        hidden: Sequence[str] = (),
    ) -> None:
        self.type_name = type_name
        self.fields = fields
        self.columns = columns
        self.methods = methods or {}
        self.hidden = hidden


class Row:
    """One thing, as templates see it."""

    __slots__ = ("_item", "_shape", "type_name")

    def __init__(self, shape: Shape, item: Item) -> None:
        self._shape = shape
        self._item = item
        self.type_name = shape.type_name

    def field(self, name: str) -> object:
        """The field's value or method; KeyError when there is none."""
        method = self._shape.methods.get(name)
        if method is not None:
            from lading.cli.gotemplate.values import Method

            item = self._item
            return Method(name, lambda argument: method(item, argument))
        return self._shape.fields[name][1](self._item)

    def fields(self) -> Mapping[str, object]:
        """Every field, for ``json``, sorted as Go sorts them."""
        shape = self._shape
        names = sorted(name for name in shape.fields if name not in shape.hidden)
        return {name: shape.fields[name][1](self._item) for name in names}


class _Header:
    """The headers in the place of values: what a table's first line is made of."""

    __slots__ = ("_shape", "type_name")

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self.type_name = shape.type_name

    def field(self, name: str) -> object:
        if name in self._shape.methods:
            from lading.cli.gotemplate.values import Method

            return Method(name, _label_header)
        return self._shape.fields[name][0]

    def fields(self) -> Mapping[str, object]:
        return {name: header for name, (header, _) in self._shape.fields.items()}


def _label_header(name: str) -> str:
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ")


def render(shape: Shape, items: Iterable[Item], form: str = "", *, quiet: str = "") -> str:
    """*items* under ``--format`` *form*; *quiet* names the field that ``-q`` shows alone."""
    if quiet:
        return "".join(f"{shape.fields[quiet][1](item)}\n" for item in items)
    if form in ("", "table"):
        return _plain(shape, items)
    if form.startswith("table"):
        return _templated_table(shape, items, form.removeprefix("table"))
    return "".join(formatted(Row(shape, item), form) + "\n" for item in items)


def _plain(shape: Shape, items: Iterable[Item]) -> str:
    shown = [shape.fields[name] for name in shape.columns]
    lines = [[header for header, _ in shown]]
    lines += [[str(show(item)) for _, show in shown] for item in items]
    return aligned(lines)


def _templated_table(shape: Shape, items: Iterable[Item], form: str) -> str:
    from lading.cli.gotemplate.functions import HEADER_FUNCTIONS

    template = compiled(form.strip(" ").replace("\\t", "\t").replace("\\n", "\n"))
    lines = [executed(template, _Header(shape), HEADER_FUNCTIONS)]
    lines += [executed(template, Row(shape, item)) for item in items]
    return of_text("\n".join(lines))


_TEMPLATES: dict[str, Template] = {}


def formatted(value: object, form: str) -> str:
    """*value* under the template *form*, or ``json``."""
    source = "{{json .}}" if form == "json" else form
    if source not in _TEMPLATES:
        _TEMPLATES[source] = compiled(source.strip(" ").replace("\\t", "\t").replace("\\n", "\n"))
    return executed(_TEMPLATES[source], value)


def compiled(source: str) -> Template:
    """Parse a template; Fault in Docker's words when it is wrong."""
    from lading.cli.gotemplate import TemplateError, parse

    try:
        return parse(source)
    except TemplateError as error:
        raise Fault(f"template parsing error: {error}") from None


def executed(template: Template, value: object, functions: Any = None) -> str:
    """Execute a template; Fault in Docker's words when it does not fit."""
    from lading.cli.gotemplate import TemplateError

    try:
        return template.execute(value, functions) if functions else template.execute(value)
    except TemplateError as error:
        raise Fault(f"template parsing error: {error}") from None
