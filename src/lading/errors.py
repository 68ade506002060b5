"""The kinds of error that lading raises; the errors themselves live beside their raisers.

A caller acts on the kind, a person on the message: lower case, no full stop, the
subject named.  Each edge has one table that maps kinds to its own codes.
"""

from __future__ import annotations


class LadingError(Exception):
    """Anything lading refuses or fails to do, told in words a user can act on."""


class NotFound(LadingError):
    """The named thing does not exist."""


class Conflict(LadingError):
    """The request is sound, but the state of things forbids it."""


class Invalid(LadingError):
    """The input is malformed; asking again the same way cannot help."""


class Denied(LadingError):
    """The caller may not do this."""


class Unsupported(LadingError):
    """The input is well formed, but this engine or host cannot do it."""


class Unavailable(LadingError):
    """Something outside lading failed; asking again later may help."""


class Corrupt(LadingError):
    """Stored bytes are not what they were when they were acknowledged."""
