"""Cut content into chunks where the content says so, so that a change moves few boundaries.

A reader needs to know nothing of this: chunks are stored with their lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

LEAST, USUAL, MOST = 64 * 1024, 256 * 1024, 1024 * 1024
_WINDOW = 8 * MOST

Read = Callable[[int], bytes]


def cut(read: Read) -> Iterator[memoryview]:
    """The chunks of what *read* gives until it gives nothing; each is good until the next.

    The same content gives the same chunks, however it is read.
    """
    from fastcdc.fastcdc_cy import fastcdc_cy

    held, is_whole = b"", False
    while not is_whole:
        held, is_whole = _filled(held, read)
        if len(held) <= LEAST:
            if held:
                yield memoryview(held)
            return
        view, at = memoryview(held), 0
        for chunk in fastcdc_cy(view, LEAST, USUAL, MOST):
            # A boundary at the end of the window is the window's, not the content's.
            if chunk.offset + chunk.length == len(held) and not is_whole and chunk.length < MOST:
                break
            at = chunk.offset + chunk.length
            yield view[chunk.offset : at]
        held = held[at:]


def _filled(held: bytes, read: Read) -> tuple[bytes, bool]:
    """A window's worth of bytes, and whether they are the last."""
    pieces, size = [held], len(held)
    while size < _WINDOW:
        piece = read(_WINDOW - size)
        if not piece:
            return b"".join(pieces), True
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces), False
