"""COPY and ADD: what they take from the context, from stages and images, and from elsewhere."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from lading.build import archives, fetching, modes
from lading.build.cache import key_of
from lading.build.copying import Arrangement, Marks, arrange, newest, write_layer
from lading.build.instruction import Add, Copy, InlineFile
from lading.build.picking import Picked, opened, pick
from lading.build.run_mounts import LayersOf
from lading.build.site import Site
from lading.build.state import State
from lading.errors import Unsupported
from lading.image.layers import Layer
from lading.runtime import users

_GIT = ("git@", "git://", "ssh://")


@dataclass(slots=True)
class TransferStep:
    """One COPY or ADD, expanded; *undo* keeps open what its files lie in."""

    site: Site
    instruction: Copy | Add
    layers_of: LayersOf
    undo: ExitStack
    picked: list[Picked] | None = None

    def keys(self, state: State) -> Iterator[str]:
        """By the layers copied from, where that says it all; then by what the files are."""
        word = self.instruction
        shape = [
            *(word.keyword, self.destination(state), word.chown, word.chmod, word.link),
            *(word.parents, list(word.exclude), list(word.sources) if word.parents else []),
        ]
        below = "" if word.link and not word.chown.strip("0123456789:") else state.fingerprint
        if isinstance(word, Copy) and word.source_from:
            layers = [str(layer) for layer in self.layers_of(word.source_from)]
            yield key_of("transfer", below, shape, layers, list(word.sources))
        yield key_of("content", below, shape, self.site.fingerprints.of(self._sources()))

    def apply(self, state: State) -> Layer | None:
        word, site = self.instruction, self.site
        picked = self._sources()
        chmod = modes.parse(word.chmod) if word.chmod else None
        with ExitStack() as stack:
            root: Path | None = None
            root_fd: int | None = None
            if state.layers and (not word.link or word.chown):
                root = stack.enter_context(site.worker.view(state.diff_ids))
                root_fd = stack.enter_context(opened(root))
            owner = _owner(root_fd, word.chown) if word.chown else None
            marks = Marks(owner, chmod, site.request.epoch)
            target = None if word.link else root_fd
            arrangement = arrange(target, picked, self.destination(state), keyword=word.keyword)
            return self._written(arrangement, None if word.link else root, marks, picked)

    def destination(self, state: State) -> str:
        """Where it goes: from the root, a slash at the end kept."""
        whole = posixpath.join(
            "/", state.run.get("WorkingDir") or "/", self.instruction.destination
        )
        ending = "/" if whole.endswith(("/", "/.")) else ""
        return posixpath.normpath(whole).rstrip("/") + ending or "/"

    def _written(
        self, arrangement: Arrangement, root: Path | None, marks: Marks, picked: Sequence[Picked]
    ) -> Layer | None:
        made_at = newest(picked)
        return self.site.ingest(
            lambda out: write_layer(arrangement, root, marks, out, made_at=made_at)
        )

    def _sources(self) -> list[Picked]:
        if self.picked is None:
            self.site.cancellation.check()
            self.picked = [*self._inline(), *self._found()]
        return self.picked

    def _found(self) -> list[Picked]:
        word = self.instruction
        if isinstance(word, Add):
            return [each for source in word.sources for each in self._added(word, source)]
        root, whence = self.site.context.root, "build context"
        if word.source_from:
            view = self.site.worker.view(self.layers_of(word.source_from))
            root, whence = self.undo.enter_context(view), word.source_from
        return pick(root, word.sources, exclude=word.exclude, parents=word.parents, whence=whence)

    def _added(self, word: Add, source: str) -> list[Picked]:
        """One source of ADD: from an address, unpacked, or as COPY has it."""
        if source.startswith(_GIT) or source.partition("#")[0].endswith(".git"):
            raise Unsupported("ADD of git repositories is not supported by lading yet")
        if fetching.is_address(source):
            return [self._fetched(word, source)]
        picked = pick(self.site.context.root, [source], exclude=word.exclude, parents=word.parents)
        return picked if word.unpack is False else [self._unpacked(each) for each in picked]

    def _fetched(self, word: Add, source: str) -> Picked:
        place = self._place()
        name = fetching.name_of(source, word.destination)
        fetching.fetch(
            source, place / name, checksum=word.checksum, check=self.site.cancellation.check
        )
        one = Picked(place, os.fsencode(name), os.fsencode(name), False)
        return self._unpacked(one) if word.unpack else one

    def _unpacked(self, each: Picked) -> Picked:
        """An archive as the directory that it holds; anything else as it is."""
        if each.is_directory or not archives.is_archive(each.root, each.path):
            return each
        place = self._place()
        archives.unpack(each.root, each.path, place)
        (whole,) = pick(place, ["/"])
        return whole

    def _inline(self) -> Iterator[Picked]:
        for file in self.instruction.files:
            yield _inline(self._place(), file)

    def _place(self) -> Path:
        """A new directory, gone with the build."""
        place = self.site.work / f"added-{token_hex(8)}"
        place.mkdir(mode=0o755)
        return place


def _inline(place: Path, file: InlineFile) -> Picked:
    """A heredoc as a file; it has no age of its own."""
    name = posixpath.basename(file.name)
    path = place / name
    path.write_bytes(file.content.encode(errors="surrogateescape"))
    path.chmod(0o644)
    os.utime(path, (0, 0))
    return Picked(place, os.fsencode(name), os.fsencode(name), False)


def _owner(root_fd: int | None, text: str) -> tuple[int, int]:
    """``--chown``: numbers as they are, names by the image's own files; BadUser."""
    user_text, colon, _ = text.partition(":")
    user = users.decide(text, (), b"", b"") if root_fd is None else users.resolve(root_fd, text)
    if not colon and user_text.isdigit():
        return user.uid, user.uid
    return user.uid, user.gid
