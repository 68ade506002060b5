"""What a registry refuses, as errors in the words that people look for."""

from __future__ import annotations

from lading.errors import Conflict, Denied, Invalid, LadingError, NotFound, Unavailable, Unsupported
from lading.registry.message import Response

_MOST_WORDS = 400
_KINDS: tuple[tuple[int, type[LadingError]], ...] = (
    (401, Denied),
    (403, Denied),
    (404, NotFound),
    (405, Unsupported),
    (409, Conflict),
    (416, Conflict),
)


class Refusal(LadingError):
    """What a registry answered instead; *code* is the specification's, where it gave one."""

    def __init__(self, message: str, status: int, code: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class RefusedDenied(Refusal, Denied):
    """It wants a login, or another one."""


class RefusedNotFound(Refusal, NotFound):
    """It does not have that."""


class RefusedInvalid(Refusal, Invalid):
    """It cannot take what was sent."""


class RefusedConflict(Refusal, Conflict):
    """It is in another state than was thought."""


class RefusedUnsupported(Refusal, Unsupported):
    """It does not do that."""


class RefusedUnavailable(Refusal, Unavailable):
    """It cannot answer now."""


_REFUSALS: dict[type[LadingError], type[Refusal]] = {
    Denied: RefusedDenied,
    NotFound: RefusedNotFound,
    Invalid: RefusedInvalid,
    Conflict: RefusedConflict,
    Unsupported: RefusedUnsupported,
    Unavailable: RefusedUnavailable,
}


class TooManyRequests(RefusedUnavailable):
    """It was asked too often; *seconds* is how long it wants to be left alone, if it said."""

    def __init__(self, host: str, seconds: float | None, told: str) -> None:
        when = f"it asks to try again in {seconds:.0f} seconds" if seconds else "try again later"
        words = told or "toomanyrequests: too many requests"
        super().__init__(f"{words}: {host} limits requests: {when}", 429, "TOOMANYREQUESTS")
        self.seconds = seconds


class PullDenied(NotFound):
    """Raised where a registry does not let us read, in Docker's words.

    Not found, as in Docker: whoever may not read does not learn whether it exists.
    """

    def __init__(self, repository: str, told: str) -> None:
        super().__init__(
            f"pull access denied for {repository}, repository does not exist or may require "
            f"'docker login': {told}"
        )


class ManifestNotFound(NotFound):
    """Raised where a repository has no such tag or digest, in Docker's words."""

    def __init__(self, reference: str, told: str) -> None:
        super().__init__(f"manifest for {reference} not found: {told}")


class WrongDocument(Invalid):
    """Raised where a registry answers with another document than it says or was asked for."""


def of_response(response: Response) -> Refusal:
    """The error that *response*, a status that is none of success, tells; its body is read."""
    code, words = _told(response)
    kind = next((kind for status, kind in _KINDS if status == response.status), None)
    if kind is None:
        kind = Unavailable if response.status >= 500 else Invalid
    if code == "UNSUPPORTED":
        kind = Unsupported
    return _REFUSALS[kind](words, response.status, code)


def _told(response: Response) -> tuple[str, str]:
    """The first error's code and all its words, as Docker's clients show them."""
    rows = response.document().get("errors")
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    if not rows:
        return "", f"unexpected status {response.status} from {response.url.partition('?')[0]}"
    codes = [str(row.get("code") or "UNKNOWN") for row in rows]
    told = [
        f"{code.lower().replace('_', ' ')}: {row.get('message') or 'no reason is given'}"
        for code, row in zip(codes, rows, strict=True)
    ]
    return codes[0], ", ".join(told)[:_MOST_WORDS]
