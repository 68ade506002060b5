"""Go's text/template, as far as ``--format`` needs it: parse once, execute for each value.

Values are what JSON decodes to, or objects with a `Fields` protocol.  Templates that
name other templates (define, template, block) are refused.
"""

from __future__ import annotations

from lading.cli.gotemplate.errors import TemplateError
from lading.cli.gotemplate.evaluate import Template, parse

__all__ = ["Template", "TemplateError", "parse"]
