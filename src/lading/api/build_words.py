"""A build's events as the lines that clients read: Docker's classic stream, or lading's own."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, Protocol

from lading.api.lines import error_line
from lading.build.request import Built
from lading.build.steps import CommandFailed
from lading.build.telling import Event, Remarked, StepBegan, StepEnded, StepSaid

Line = dict[str, Any]
_SHORT = 12


class Words(Protocol):
    """How a build is told of."""

    def lines(self, event: Event) -> Iterator[Line]: ...

    def last(self, built: Built) -> Iterator[Line]: ...

    def failed(self, error: BaseException) -> Line: ...


class ClassicWords:
    """``Step 1/3 : FROM …``, `` ---> 0123456789ab``: what Docker's clients print as it comes."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._decoders: dict[int, codecs.IncrementalDecoder] = {}

    def lines(self, event: Event) -> Iterator[Line]:
        if self._quiet:
            return
        if isinstance(event, StepBegan):
            yield _stream(f"Step {event.number}/{event.total} : {event.text}\n")
        elif isinstance(event, StepSaid):
            yield _stream(self._text(event))
        elif isinstance(event, StepEnded):
            if event.cached:
                yield _stream(" ---> Using cache\n")
            yield _stream(f" ---> {event.id.partition(':')[2][:_SHORT]}\n")
        elif isinstance(event, Remarked):
            yield _stream(f"{event.text}\n")

    def last(self, built: Built) -> Iterator[Line]:
        image = built.image.id
        yield {"aux": {"ID": str(image)}}
        if self._quiet:
            yield _stream(f"{image}\n")
            return
        yield _stream(f"Successfully built {image.hex[:_SHORT]}\n")
        for name in built.names:
            yield _stream(f"Successfully tagged {name}\n")

    def failed(self, error: BaseException) -> Line:
        return _failed(error)

    def _text(self, event: StepSaid) -> str:
        """Output may end in the middle of a letter."""
        if event.stage not in self._decoders:
            self._decoders[event.stage] = codecs.getincrementaldecoder("utf-8")("replace")
        return self._decoders[event.stage].decode(event.content)


class OwnWords:
    """Every event as an object: its kind, and its fields."""

    def __init__(self) -> None:
        self._decoders: dict[tuple[int, int], codecs.IncrementalDecoder] = {}

    def lines(self, event: Event) -> Iterator[Line]:
        if isinstance(event, StepBegan):
            yield {
                "step": {"stage": event.stage, "number": event.number, "total": event.total},
                "text": event.text,
            }
        elif isinstance(event, StepSaid):
            yield {"output": self._text(event), "stage": event.stage, "stderr": event.stream == 2}
        elif isinstance(event, StepEnded):
            yield {
                "done": {"stage": event.stage, "number": event.number, "cached": event.cached},
                "text": event.text,
                "image": event.id,
                "seconds": round(event.seconds, 3),
                "size": event.size,
            }
        elif isinstance(event, Remarked):
            yield {"remark": event.text, "stage": event.stage}

    def last(self, built: Built) -> Iterator[Line]:
        warnings = [f"{each.where}: {each.rule}: {each.message}" for each in built.warnings]
        yield {
            "aux": {"ID": str(built.image.id)},
            "names": list(built.names),
            "warnings": warnings,
        }

    def failed(self, error: BaseException) -> Line:
        return _failed(error)

    def _text(self, event: StepSaid) -> str:
        which = (event.stage, event.stream)
        if which not in self._decoders:
            self._decoders[which] = codecs.getincrementaldecoder("utf-8")("replace")
        return self._decoders[which].decode(event.content)


def _stream(text: str) -> Line:
    return {"stream": text}


def _failed(error: BaseException) -> Line:
    """The code is the command's own where one failed: Docker's client exits with it."""
    line = error_line(error)
    if isinstance(error, CommandFailed):
        line["errorDetail"]["code"] = error.exit_code
    return line
