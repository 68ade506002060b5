"""Make ready what ``RUN --mount`` asks for: binds, caches, memory, secrets.

Sources are resolved inside the tree they lie in; what is written into a bind is discarded;
a secret lies in memory that is gone when the command has ended, and in nothing that is kept.
"""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from secrets import token_hex

from lading.build import globs
from lading.build.caches import Caches
from lading.build.instruction import InlineFile, RunMount
from lading.build.worker import Worker
from lading.errors import Invalid, NotFound, Unsupported
from lading.linux import mounts
from lading.linux.mounts import Mount, MountFailed
from lading.linux.paths import open_in_root
from lading.oci.digest import Digest
from lading.runtime.mounts import MountPoint

_SECRETS = "/run/secrets"
_MOST_SECRETS = "16m"


class SecretNotFound(NotFound):
    """Raised for a secret that a step requires and the user did not give."""

    def __init__(self, identity: str) -> None:
        super().__init__(f"secret {identity}: not found: give it with --secret id={identity},src=…")


class MountSourceNotFound(NotFound):
    """Raised for a source that is not in the tree it should lie in."""

    def __init__(self, source: str) -> None:
        super().__init__(f"failed to mount {source!r}: not found in its source")


LayersOf = Callable[[str], Sequence[Digest]]
"""The layers of the stage or image that ``from=`` names."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What to mount, and further variables of the environment."""

    points: tuple[MountPoint, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class RunMounts:
    """Prepares the mounts of one build's commands."""

    def __init__(
        self,
        worker: Worker,
        caches: Caches,
        *,
        context: Path,
        work: Path,
        layers_of: LayersOf,
        secrets: Mapping[str, bytes],
        is_cancelled: Callable[[], bool],
    ) -> None:
        """*work* is a directory of the build's own."""
        self._worker, self._caches = worker, caches
        self._context, self._work = context, work
        self._layers_of, self._secrets, self._is_cancelled = layers_of, secrets, is_cancelled

    def ready(
        self, asked: Sequence[RunMount], directory: str, script: InlineFile | None, undo: ExitStack
    ) -> Ready:
        """Everything *asked*, for as long as *undo* is open; *script* is put at its place too."""
        points: list[MountPoint] = []
        environment: dict[str, str] = {}
        for mount in asked:
            if mount.kind == "secret":
                points += self._secret(mount, directory, environment, undo)
            else:
                points.append(self._point(mount, directory, undo))
        if script is not None:
            points.append(self._script(script, undo))
        return Ready(tuple(points), environment)

    def _point(self, mount: RunMount, directory: str, undo: ExitStack) -> MountPoint:
        target = posixpath.normpath(posixpath.join("/", directory, mount.target))
        if mount.kind == "bind":
            source = self._bound(mount, undo)
            return MountPoint.bind(str(source), target, read_only=mount.read_only)
        if mount.kind == "cache":
            source = self._cached(mount, target, undo)
            return MountPoint.bind(str(source), target, read_only=mount.read_only)
        if mount.kind == "tmpfs":
            size = (f"size={mount.size}",) if mount.size else ()
            write = ("ro",) if mount.read_only else ()
            return MountPoint.tmpfs(target, ("exec", "dev", *size, *write))
        raise Unsupported(f"RUN --mount=type={mount.kind} is not supported by lading yet")

    def _bound(self, mount: RunMount, undo: ExitStack) -> Path:
        """The source's place on this host, in a tree where writing changes nothing that stays."""
        if mount.source_from:
            layers = self._layers_of(mount.source_from)
            view = self._worker.view(layers, writable=not mount.read_only)
            return _inside(undo.enter_context(view), mount.source)
        if mount.read_only:
            return _inside(self._context, mount.source)
        return _inside(self._discarding(self._context, undo), mount.source)

    def _discarding(self, tree: Path, undo: ExitStack) -> Path:
        """*tree* to write into, which itself stays as it is."""
        place = self._work / f"discard-{token_hex(8)}"
        for name in ("upper", "work", "merged"):
            (place / name).mkdir(parents=True)
        undo.callback(shutil.rmtree, place, ignore_errors=True)
        options = (
            *(f"lowerdir+={tree}", f"upperdir={place / 'upper'}", f"workdir={place / 'work'}"),
            *("index=off", "redirect_dir=off", "metacopy=off"),
        )
        merged = place / "merged"
        try:
            mounts.perform((Mount("overlay", "overlay", options),), merged)
        except MountFailed:  # a host without overlayfs
            shutil.copytree(tree, merged, symlinks=True, dirs_exist_ok=True)
        else:
            undo.callback(mounts.unmount, merged, lazy=True)
        return merged

    def _cached(self, mount: RunMount, target: str, undo: ExitStack) -> Path:
        held = self._caches.held(
            mount.id or target,
            sharing=mount.sharing,
            fill=partial(self._fill, mount),
            is_cancelled=self._is_cancelled,
        )
        return undo.enter_context(held)

    def _fill(self, mount: RunMount, place: Path) -> None:
        """What a new cache begins with."""
        if mount.source_from:
            with self._worker.view(self._layers_of(mount.source_from)) as tree:
                source = _inside(tree, mount.source)
                shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True)
        os.chown(place, max(mount.uid, 0), max(mount.gid, 0))
        place.chmod(0o755 if mount.mode < 0 else mount.mode)

    def _secret(
        self, mount: RunMount, directory: str, environment: dict[str, str], undo: ExitStack
    ) -> list[MountPoint]:
        identity = mount.id or posixpath.basename(mount.target or mount.source)
        content = self._secrets.get(identity)
        if content is None:
            if mount.required:
                raise SecretNotFound(identity)
            return []
        if mount.env:
            environment[mount.env] = content.decode(errors="surrogateescape")
            if not mount.target:
                return []
        target = posixpath.join("/", directory, mount.target or f"{_SECRETS}/{identity}")
        file = self._in_memory(content, mount, undo)
        return [MountPoint.bind(str(file), posixpath.normpath(target), read_only=True)]

    def _in_memory(self, content: bytes, mount: RunMount, undo: ExitStack) -> Path:
        place = self._work / f"secret-{token_hex(8)}"
        place.mkdir(mode=0o700)
        undo.callback(place.rmdir)
        options = ("nosuid", "nodev", "noexec", "mode=0700", f"size={_MOST_SECRETS}")
        mounts.perform((Mount("tmpfs", "tmpfs", options),), place)
        undo.callback(mounts.unmount, place, lazy=True)
        file = place / "secret"
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(content)
            os.fchown(out.fileno(), max(mount.uid, 0), max(mount.gid, 0))
            os.fchmod(out.fileno(), 0o400 if mount.mode < 0 else mount.mode)
        return file

    def _script(self, script: InlineFile, undo: ExitStack) -> MountPoint:
        place = self._work / f"script-{token_hex(8)}"
        place.write_bytes(script.content.encode(errors="surrogateescape"))
        undo.callback(place.unlink)
        place.chmod(0o755)
        return MountPoint.bind(str(place), f"/dev/pipes/{script.name}", read_only=True)


def _inside(tree: Path, source: str) -> Path:
    """Where *source* lies in *tree*, links followed inside it; MountSourceNotFound."""
    root_fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fd = open_in_root(root_fd, globs.cleaned(source) or b".", os.O_PATH)
        except OSError:
            raise MountSourceNotFound(source) from None
        try:
            return tree / os.fsdecode(globs.path_of(root_fd, fd))
        finally:
            os.close(fd)
    finally:
        os.close(root_fd)


def check_network(asked: str, build: str) -> str:
    """The network mode of a command whose ``--network`` is *asked* in a build with *build*'s."""
    if asked == "host" and build != "host":
        raise Invalid("RUN --network=host is only allowed in a build with --network host")
    return build if asked == "default" else asked
