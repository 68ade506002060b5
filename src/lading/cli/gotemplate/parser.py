"""Turn a template's tokens into nodes.

The grammar and the words of its errors are those of Go's text/template/parse.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from lading.cli.gotemplate import lexer, literals, nodes
from lading.cli.gotemplate.errors import TemplateError
from lading.cli.gotemplate.lexer import Token
from lading.cli.quoting import quote

_DEEPEST = 50  # no one writes more, and Python's stack is not endless
_BRANCHES = ("if", "with", "range")
_ELSEWHERE = ("define", "template", "block")
_KEYWORDS = (*_BRANCHES, *_ELSEWHERE, "else", "end", "break", "continue")


class Parser:
    """Reads one template; the functions that it names must be known, as in Go."""

    def __init__(self, source: str, functions: Container[str]) -> None:
        self._source = source
        self._functions = functions
        self._tokens = list(lexer.tokens(source))
        self._next = 0
        self._variables = ["$"]
        self._depth = 0
        self._loops = 0

    def parse(self) -> tuple[nodes.Node, ...]:
        """The whole template; TemplateError where it is wrong."""
        body, ending = self._list()
        if ending is not None:
            raise self._error(f"unexpected {{{{{ending.text}}}}}", ending.at)
        return tuple(body)

    # -- lists and actions ---------------------------------------------------------------

    def _list(self) -> tuple[list[nodes.Node], Token | None]:
        """Nodes up to an ``end`` or ``else``, which is taken and given, or to the end of all."""
        found: list[nodes.Node] = []
        while self._next < len(self._tokens):
            token = self._take()
            if token.kind == lexer.TEXT:
                found.append(nodes.Text(token.at, token.text))
            elif self._peek().text in ("end", "else"):
                return found, self._take()
            else:
                found.append(self._action())
        return found, None

    def _action(self) -> nodes.Node:
        word = self._peek()
        if word.kind != lexer.WORD or word.text not in _KEYWORDS:
            pipe = self._pipe("command")
            self._close("command")
            return nodes.Action(pipe.at, pipe)
        if word.text in _ELSEWHERE:
            raise self._error(f"{{{{{word.text}}}}} is not supported here", word.at)
        self._take()
        return self._branch(word) if word.text in _BRANCHES else self._leave(word)

    def _leave(self, word: Token) -> nodes.Leave:
        if not self._loops:
            raise self._error(f"{{{{{word.text}}}}} outside {{{{range}}}}", word.at)
        self._close(word.text)
        return nodes.Leave(word.at, word.text)

    def _branch(self, word: Token) -> nodes.Branch:
        self._deeper(word.at)
        kept = len(self._variables)
        pipe = self._pipe(word.text)
        self._close(word.text)
        self._loops += word.text == "range"
        body, ending = self._list()
        self._loops -= word.text == "range"
        otherwise = self._otherwise(word, ending)
        del self._variables[kept:]
        self._depth -= 1
        return nodes.Branch(pipe.at, word.text, pipe, body, otherwise)

    def _otherwise(self, opener: Token, ending: Token | None) -> Sequence[nodes.Node]:
        """What stands after ``else``; takes the ``end`` too, which ``else if`` shares."""
        if ending is None:
            raise self._error("unexpected EOF", len(self._source))
        if ending.text == "end":
            self._close("end")
            return ()
        if opener.text != "range" and self._peek().text == opener.text:
            return (self._branch(self._take()),)
        self._close("else")
        body, end = self._list()
        if end is None:
            raise self._error("unexpected EOF", len(self._source))
        if end.text != "end":
            raise self._error("expected end; found {{else}}", end.at)
        self._close("end")
        return body

    # -- pipelines -----------------------------------------------------------------------

    def _pipe(self, context: str) -> nodes.Pipe:
        at = self._peek().at
        self._deeper(at)
        variables, assigns = self._kept(context)
        if self._peek().text == "|":
            raise self._error(f'unexpected "|" in {context}', at)
        commands = [self._command(context)]
        while self._sign("|") and self._peek().kind != lexer.CLOSE:
            commands.append(self._command(context))
        for later in commands[1:]:
            if isinstance(later.words[0], (nodes.Dot, nodes.Nil, nodes.Constant)):
                raise self._error("non executable command in pipeline stage 2", later.at)
        self._depth -= 1
        return nodes.Pipe(at, variables, assigns, commands)

    def _kept(self, context: str) -> tuple[list[str], bool]:
        """The variables before ``:=`` or ``=``, and whether they exist already."""
        first, second = self._peek(), self._peek(1)
        names = [first.text]
        if first.kind != lexer.VARIABLE:
            return [], False
        if context == "range" and second.text == "," and self._peek(2).kind == lexer.VARIABLE:
            names.append(self._peek(2).text)
            second = self._peek(3)
        if second.kind != lexer.SIGN or second.text not in (":=", "="):
            return [], False
        self._next += 2 * len(names)
        if second.text == ":=":
            self._variables += names
        for name in names:
            self._known(name, first.at)
        return names, second.text == "="

    def _command(self, context: str) -> nodes.Command:
        words: list[nodes.Node] = []
        at = self._peek().at
        while (word := self._operand(context, first=not words)) is not None:
            words.append(word)
            after = self._peek()
            if not after.spaced and after.kind != lexer.CLOSE and after.text not in ("|", ")"):
                shown = "<.>" if after.text == "." else quote(after.text)
                raise self._error(f"unexpected {shown} in operand", after.at)
        if not words:
            raise self._error(f"missing value for {context}", at)
        return nodes.Command(at, words)

    # -- words ---------------------------------------------------------------------------

    def _operand(self, context: str, *, first: bool) -> nodes.Node | None:
        word = self._term(context, first=first)
        names = []
        at = self._peek().at  # Go's place for a chain: its second field
        while word is not None and self._peek().kind == lexer.FIELD and not self._peek().spaced:
            names.append(self._take().text[1:])
        if word is None or not names:
            return word
        if isinstance(word, nodes.Field):
            return nodes.Field(at, (*word.names, *names))
        if isinstance(word, nodes.Variable):
            return nodes.Variable(at, word.name, (*word.names, *names))
        if isinstance(word, (nodes.Constant, nodes.Nil, nodes.Dot)):
            raise self._error(f'unexpected . after term "{word}"', word.at)
        return nodes.Chain(at, word, names)

    def _term(self, context: str, *, first: bool) -> nodes.Node | None:
        token = self._peek()
        if token.kind == lexer.SIGN and token.text == "(":
            return self._parenthesis(context)
        if token.kind in (lexer.CLOSE, lexer.SIGN) and token.text != ".":
            if token.text in ("|", ")", "}}"):
                return None
            raise self._error(f"unexpected {quote(token.text)} in {context}", token.at)
        self._take()
        if token.kind == lexer.FIELD:
            return nodes.Field(token.at, (token.text[1:],))
        if token.kind == lexer.VARIABLE:
            return self._known(token.text, token.at)
        if token.kind == lexer.WORD:
            return self._word(token)
        if token.text == ".":
            return nodes.Dot(token.at)
        return self._constant(token)

    def _parenthesis(self, context: str) -> nodes.Pipe:
        opening = self._take()
        pipe = self._pipe("parenthesized pipeline")
        if not self._sign(")"):
            raise self._error("unclosed left paren", opening.at)
        return pipe

    def _word(self, token: Token) -> nodes.Node:
        if token.text in ("true", "false"):
            return nodes.Constant(token.at, token.text == "true", token.text)
        if token.text == "nil":
            return nodes.Nil(token.at)
        if token.text in _KEYWORDS:
            raise self._error(f"unexpected <{token.text}> in command", token.at)
        if token.text not in self._functions:
            raise self._error(f'function "{token.text}" not defined', token.at)
        return nodes.Function(token.at, token.text)

    def _constant(self, token: Token) -> nodes.Constant:
        read = {
            lexer.STRING: literals.text,
            lexer.CHARACTER: literals.character,
            lexer.NUMBER: literals.number,
        }[token.kind]
        try:
            return nodes.Constant(token.at, read(token.text), token.text)
        except (ValueError, OverflowError) as error:
            raise self._error(str(error) or "invalid syntax", token.at) from None

    def _known(self, name: str, at: int) -> nodes.Variable:
        if name not in self._variables:
            raise self._error(f'undefined variable "{name}"', at)
        return nodes.Variable(at, name, ())

    # -- tokens --------------------------------------------------------------------------

    def _peek(self, ahead: int = 0) -> Token:
        try:
            return self._tokens[self._next + ahead]
        except IndexError:
            return Token(lexer.CLOSE, "}}", len(self._source))

    def _take(self) -> Token:
        token = self._peek()
        self._next += 1
        return token

    def _sign(self, text: str) -> bool:
        token = self._peek()
        if token.kind == lexer.SIGN and token.text == text:
            self._next += 1
            return True
        return False

    def _close(self, context: str) -> None:
        token = self._take()
        if token.kind != lexer.CLOSE:
            shown = f'"{token.text}" in {context}' if token.text != ")" else "right paren"
            raise self._error(f"unexpected {shown}", token.at)

    def _deeper(self, at: int) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error("nested too deeply", at)

    def _error(self, message: str, at: int) -> TemplateError:
        return lexer.mistake(self._source, at, message)
