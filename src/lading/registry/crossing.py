"""Carry an image between two places, several of its blobs at a time.

The order is that of `transfer.copy`: whatever a document names is there before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext, suppress

from lading.errors import Invalid
from lading.image import transfer
from lading.image.transfer import Source, Target
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.registry.sides import is_document

Turn = Callable[[Descriptor], AbstractContextManager[object]]

_ABREAST = 3
_TRIES = 3
_MOST_DOCUMENTS = 1024
_MOST_DEPTH = 4


class TooLarge(Invalid):
    """Raised for an index that names more than an image can be."""

    def __init__(self) -> None:
        super().__init__("the index leads to too many others")


def carry(
    source: Source,
    target: Target,
    root: Descriptor,
    *,
    turn: Turn = nullcontext,
    abreast: int = _ABREAST,
) -> None:
    """Copy *root* and all it names; what came damaged is asked for again.

    Each blob is looked for and brought within its *turn*.
    """
    if target.has(root):
        return
    documents = list(_documents(source, root))
    with ThreadPoolExecutor(abreast, thread_name_prefix="carry") as pool:
        jobs = [
            pool.submit(_within, turn, source, target, leaf) for leaf in _leaves(source, documents)
        ]
        done, _ = wait(jobs, return_when="FIRST_EXCEPTION")
        if any(job.exception() for job in done if not job.cancelled()):
            pool.shutdown(wait=True, cancel_futures=True)
        for job in jobs:
            if not job.cancelled():
                job.result()
    for document in reversed(documents):
        _bring(source, target, document)


def _documents(source: Source, root: Descriptor) -> Iterator[Descriptor]:
    """The documents that *root* leads to and itself, parents first, each once; TooLarge."""
    level, seen = [root], {root.digest}
    for _ in range(_MOST_DEPTH + 1):
        yield from level
        named = [child for parent in level for child in transfer.children(source, parent)]
        level = []
        for child in named:
            if is_document(child) and child.digest not in seen:
                seen.add(child.digest)
                level.append(child)
        if len(seen) > _MOST_DOCUMENTS:
            raise TooLarge
        if not level:
            return
    raise TooLarge


def _leaves(source: Source, documents: list[Descriptor]) -> list[Descriptor]:
    """The blobs that the documents name, each once, the largest first."""
    found: dict[Digest, Descriptor] = {}
    for document in documents:
        for child in transfer.children(source, document):
            if not is_document(child):
                found.setdefault(child.digest, child)
    return sorted(found.values(), key=lambda leaf: -leaf.size)


def _within(turn: Turn, source: Source, target: Target, descriptor: Descriptor) -> None:
    with turn(descriptor):
        _bring(source, target, descriptor)


def _bring(source: Source, target: Target, descriptor: Descriptor) -> None:
    """Copy one blob; Invalid only where it is so each time that it comes."""
    for _ in range(_TRIES - 1):
        with suppress(Invalid):
            _copy(source, target, descriptor)
            return
    _copy(source, target, descriptor)


def _copy(source: Source, target: Target, descriptor: Descriptor) -> None:
    if target.has(descriptor):
        return
    with source.open(descriptor) as stream:
        target.add(descriptor, stream)
