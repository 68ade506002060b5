"""Execute a parsed template on a value.

What Go's reflection would find is decided in `_field`; everything else follows
text/template/exec.go, its error messages included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lading.cli.gotemplate import lexer, nodes
from lading.cli.gotemplate.errors import CallError, TemplateError
from lading.cli.gotemplate.functions import FUNCTIONS, Function
from lading.cli.gotemplate.parser import Parser
from lading.cli.gotemplate.printing import show
from lading.cli.gotemplate.values import Map, Method, Nil, truth, type_name

_LONGEST_CONTEXT = 20
_MOST_STEPS = 10_000_000  # a range within a range within a range ends some day


class Template:
    """A template that parsed; may be executed as often as one likes."""

    __slots__ = ("_body", "_source")

    def __init__(self, source: str, body: Sequence[nodes.Node]) -> None:
        self._source = source
        self._body = body

    def execute(self, value: object, functions: Mapping[str, Function] = FUNCTIONS) -> str:
        """The template's text for *value*; TemplateError where it does not fit."""
        run = _Execution(self._source, value, functions)
        run.all(self._body, value)
        return "".join(run.output)


def parse(source: str) -> Template:
    """Parse *source*; TemplateError says what is wrong with it."""
    return Template(source, Parser(source, FUNCTIONS).parse())


class _Leaving(Exception):
    """``break`` and ``continue`` on their way to the loop."""


class _Missing:
    """No final value was piped into a command."""


_MISSING = _Missing()


class _Execution:
    def __init__(self, source: str, value: object, functions: Mapping[str, Function]) -> None:
        self._source = source
        self._functions = functions
        self._variables: list[tuple[str, object]] = [("$", value)]
        self._steps = 0
        self.output: list[str] = []

    # -- what is walked ------------------------------------------------------------------

    def all(self, body: Sequence[nodes.Node], dot: object) -> None:
        for node in body:
            self._one(node, dot)

    def _one(self, node: nodes.Node, dot: object) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise self._error(node, "too many steps")
        if isinstance(node, nodes.Text):
            self.output.append(node.text)
        elif isinstance(node, nodes.Action):
            value = self._pipe(node.pipe, dot)
            if not node.pipe.variables:
                self.output.append(show(value))
        elif isinstance(node, nodes.Branch):
            self._branch(node, dot)
        elif isinstance(node, nodes.Leave):
            raise _Leaving(node.word)

    def _branch(self, node: nodes.Branch, dot: object) -> None:
        kept = len(self._variables)
        value = self._pipe(node.pipe, dot)
        if node.word == "range":
            self._range(node, value, dot)
        elif truth(value):
            self.all(node.body, value if node.word == "with" else dot)
        else:
            self.all(node.otherwise, dot)
        del self._variables[kept:]

    def _range(self, node: nodes.Branch, value: object, dot: object) -> None:
        pairs = self._pairs(node, value)
        if not pairs:
            self.all(node.otherwise, dot)
        names = node.pipe.variables
        base = len(self._variables)
        for key, item in pairs:
            for name, one in zip(reversed(names), (item, key), strict=False):
                self._set(name, one) if node.pipe.assigns else self._variables.append((name, one))
            try:
                self.all(node.body, item)
            except _Leaving as leaving:
                if leaving.args[0] == "break":
                    break
            finally:
                del self._variables[base:]

    def _pairs(self, node: nodes.Branch, value: object) -> Sequence[tuple[object, object]]:
        if isinstance(value, dict):
            return sorted(value.items())
        if isinstance(value, (list, tuple)):
            return list(enumerate(value))
        if isinstance(value, int) and not isinstance(value, bool) and value <= _MOST_STEPS:
            return [(number, number) for number in range(value)]
        if value is None or isinstance(value, Nil):
            return ()
        raise self._error(node.pipe, f"range can't iterate over {show(value)}")

    # -- pipelines -----------------------------------------------------------------------

    def _pipe(self, pipe: nodes.Pipe, dot: object) -> object:
        value: object = _MISSING
        for command in pipe.commands:
            value = self._command(command, dot, value)
        ranged = len(pipe.variables) > 1
        for name in () if ranged else pipe.variables:
            self._set(name, value) if pipe.assigns else self._variables.append((name, value))
        return value

    def _command(self, command: nodes.Command, dot: object, final: object) -> object:
        first, arguments = command.words[0], command.words[1:]
        if isinstance(first, nodes.Function):
            return self._call(first, command, dot, final)
        if isinstance(first, (nodes.Field, nodes.Chain, nodes.Variable)):
            start, names = self._start(first, dot)
            given = [self._value(word, dot) for word in arguments]
            return self._path(first, start, names, given + ([] if final is _MISSING else [final]))
        if isinstance(first, nodes.Nil):
            raise self._error(first, "nil is not a command")
        if arguments or final is not _MISSING:
            raise self._error(first, f"can't give argument to non-function {first}")
        return self._value(first, dot)

    def _value(self, node: nodes.Node, dot: object) -> object:
        if isinstance(node, nodes.Constant):
            return node.value
        if isinstance(node, nodes.Dot):
            return dot
        if isinstance(node, nodes.Pipe):
            return self._pipe(node, dot)
        if isinstance(node, nodes.Function):
            return self._call(node, nodes.Command(node.at, (node,)), dot, _MISSING)
        if isinstance(node, nodes.Nil):
            return None
        start, names = self._start(node, dot)
        return self._path(node, start, names, [])

    def _start(self, node: nodes.Node, dot: object) -> tuple[object, Sequence[str]]:
        """Where a chain of fields begins, and their names."""
        if isinstance(node, nodes.Chain):
            return self._value(node.inner, dot), node.names
        if isinstance(node, nodes.Variable):
            return self._get(node.name), node.names
        return dot, node.names if isinstance(node, nodes.Field) else ()

    def _call(
        self, node: nodes.Function, command: nodes.Command, dot: object, final: object
    ) -> object:
        function, words = self._functions[node.name], command.words[1:]
        piped = [] if final is _MISSING else [final]
        count = len(words) + len(piped)
        if not function.least <= count <= function.most:
            want = (
                function.least if function.least == function.most else f"at least {function.least}"
            )
            message = f"wrong number of args for {node.name}: want {want} got {count}"
            raise self._error(node, message)
        if node.name in ("and", "or"):
            return self._chosen(node.name == "or", words, dot, piped)
        arguments = [self._value(word, dot) for word in words] + piped
        try:
            return function.call(*arguments)
        except CallError as error:
            raise self._error(command, f"error calling {node.name}: {error}") from None

    def _chosen(
        self, wanted: bool, words: Sequence[nodes.Node], dot: object, piped: list[object]
    ) -> object:
        """``or``: the first true value; ``and``: the first false one; else the last."""
        value: object = None
        for word in words:
            value = self._value(word, dot)
            if truth(value) is wanted:
                return value
        return piped[0] if piped else value

    # -- fields and variables ------------------------------------------------------------

    def _path(
        self, node: nodes.Node, value: object, names: Sequence[str], arguments: list[object]
    ) -> object:
        for index, name in enumerate(names):
            value = self._field(node, value, name)
            last = index == len(names) - 1
            if isinstance(value, Method):
                value = self._method(node, value, arguments if last else [])
            elif last and arguments:
                raise self._error(node, f"{name} is not a method but has arguments")
        if not names and arguments:
            raise self._error(node, f"can't give argument to non-function {node}")
        return value

    def _method(self, node: nodes.Node, method: Method, arguments: list[object]) -> object:
        if len(arguments) != 1:
            message = f"wrong number of args for {method.name}: want 1 got {len(arguments)}"
            raise self._error(node, message)
        if not isinstance(arguments[0], str):
            got = type_name(arguments[0])
            raise self._error(node, f"wrong type for value; expected string; got {got}")
        return method.call(arguments[0])

    def _field(self, node: nodes.Node, value: object, name: str) -> object:
        if isinstance(value, Map):
            return value.get(name)
        if isinstance(value, dict):
            try:
                return value[name]
            except KeyError:
                raise self._error(node, f'map has no entry for key "{name}"') from None
        if value is None or isinstance(value, Nil):
            raise self._error(node, f"nil pointer evaluating interface {{}}.{name}")
        if hasattr(value, "field"):
            try:
                return value.field(name)
            except KeyError:
                pass
        kind = getattr(value, "type_name", "interface {}")
        raise self._error(node, f"can't evaluate field {name} in type {kind}")

    def _get(self, name: str) -> object:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise AssertionError(name)  # the parser refused it

    def _set(self, name: str, value: object) -> None:
        for index in range(len(self._variables) - 1, -1, -1):
            if self._variables[index][0] == name:
                self._variables[index] = (name, value)
                return

    def _error(self, node: nodes.Node, message: str) -> TemplateError:
        line, column = lexer.line(self._source, node.at), lexer.column(self._source, node.at)
        context = str(node)
        if len(context) > _LONGEST_CONTEXT:
            context = context[:_LONGEST_CONTEXT] + "..."
        place = f"template: :{line}:{column}"
        return TemplateError(f'{place}: executing "" at <{context}>: {message}')
