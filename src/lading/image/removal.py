"""What removing a name or an image means, decided before anything is touched (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lading.image.catalogue import is_id
from lading.image.errors import ImageInUse
from lading.oci.digest import Digest
from lading.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class User:
    """A container that stands on an image."""

    container: str  # its ID
    running: bool


@dataclass(frozen=True, slots=True)
class Untagged:
    """A name that is gone, as people know it."""

    name: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """An image (by ID) or a stack of layers (by chain ID) that is gone."""

    digest: Digest


@dataclass(frozen=True, slots=True)
class Plan:
    """The names to forget, and whether the image goes as well."""

    untag: tuple[Reference, ...]
    delete: bool


def plan(
    image: Digest, names: Sequence[Reference], asked: str, users: Sequence[User], *, force: bool
) -> Plan:
    """What Docker would do for ``rmi asked``; ImageInUse with its words.

    *names* are all names of *image*, *users* the containers that stand on it.
    """
    if is_id(image, asked) and not _is_name(asked, names):
        return _by_id(image, names, users, force=force)
    return _by_name(image, names, Reference.parse(asked), users, force=force)


def _by_name(
    image: Digest,
    names: Sequence[Reference],
    asked: Reference,
    users: Sequence[User],
    *,
    force: bool,
) -> Plan:
    if users and not force and _is_single(names):
        raise ImageInUse(
            f'unable to remove repository reference "{asked.familiar}" (must force) - container '
            f"{users[0].container[:12]} is using its referenced image {image.short}"
        )
    gone = [name for name in names if _same(name, asked)]
    left = [name for name in names if name not in gone]
    if asked.digest is None and not any(_is_tag_of(name, asked) for name in left):
        gone += [name for name in left if name.repository == asked.repository]
        left = [name for name in left if name.repository != asked.repository]
    running = next((user for user in users if user.running), None)
    # The name goes, and the image stays as long as a container runs on it.
    return Plan(tuple(gone), delete=not left and running is None and (force or not users))


def _by_id(
    image: Digest, names: Sequence[Reference], users: Sequence[User], *, force: bool
) -> Plan:
    running = next((user for user in users if user.running), None)
    if running is not None:
        raise _refusal(image, f"image is being used by running container {running.container[:12]}")
    if force:
        return Plan(tuple(names), delete=True)
    if not _is_single(names):
        raise _refusal(image, "image is referenced in multiple repositories", hard=False)
    if users:
        stopped = users[0].container[:12]
        raise _refusal(image, f"image is being used by stopped container {stopped}", hard=False)
    return Plan(tuple(names), delete=True)


def _refusal(image: Digest, why: str, *, hard: bool = True) -> ImageInUse:
    remedy = "cannot be forced" if hard else "must be forced"
    return ImageInUse(f"unable to delete {image.short} ({remedy}) - {why}", hard=hard)


def _is_single(names: Sequence[Reference]) -> bool:
    """At most one tag, and everything else a digest in the same repository."""
    tags = [name for name in names if name.digest is None]
    return len(tags) <= 1 and len({name.repository for name in names}) <= 1


def _is_name(asked: str, names: Sequence[Reference]) -> bool:
    """A word that reads like an ID can be a name as well; names go first."""
    return any(asked in (name.familiar, name.familiar_name, str(name)) for name in names)


def _same(name: Reference, asked: Reference) -> bool:
    if asked.digest is None:
        return name == asked
    if name.digest is not None:
        return name.repository == asked.repository and name.digest == asked.digest
    # name@digest of an image that has that name on this host: the tag is what can go
    return name.repository == asked.repository and asked.tag in ("", name.tag)


def _is_tag_of(name: Reference, asked: Reference) -> bool:
    return name.digest is None and name.repository == asked.repository
