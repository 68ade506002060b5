"""What can be wrong with a template, in Go's words."""

from __future__ import annotations

from lading.errors import Invalid


class TemplateError(Invalid):
    """The template does not parse, or does not fit the value it is executed on."""


class CallError(TemplateError):
    """A function refused its arguments; the evaluator adds where in the template it was."""
