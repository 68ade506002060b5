"""The volumes of this engine: make, find, fill, measure and remove them.

A volume is a directory and a row.  The row is written when the directory is durable, and
deleted before the directory is, which is marked first: so a row always names something, and
what has none is cleared away where it is marked or empty.  Files whose row was damaged stay,
and are taken up by whoever makes a volume of that name.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from lading.errors import Conflict, Corrupt, Invalid, LadingError, NotFound, Unsupported
from lading.events import Bus
from lading.image.times import rfc3339
from lading.linux.files import fsync_directory
from lading.snapshot.trash import Later, at_once, staging, sweep, throw_away
from lading.store.database import Database
from lading.store.records import Records
from lading.volume import seeding, subpaths
from lading.volume.filters import Filters, ListFilter, PruneFilter, Users, nobody
from lading.volume.names import check_name, random_name
from lading.volume.seeding import DATA
from lading.volume.sizes import size_of
from lading.volume.values import ANONYMOUS, Volume

_LOG = logging.getLogger(__name__)
_DRIVER = "local"
_SECOND = 1_000_000_000
_REMOVING = "removing"  # marks a directory whose row is about to go
_MOUNT_OPTIONS = ("type", "o", "device", "size")  # of Docker's local driver


class VolumeNotFound(NotFound):
    """Raised for a name that no volume has, in Docker's words."""

    def __init__(self, name: str) -> None:
        super().__init__(f"get {name[:300]}: no such volume")


class VolumeExists(Conflict):
    """Raised where a volume is brought in under a name that another has."""

    def __init__(self, name: str) -> None:
        super().__init__(f"a volume named {name} exists already")


class VolumeInUse(Conflict):
    """Raised where a volume that containers use would be removed, in Docker's words."""

    def __init__(self, name: str, users: Sequence[str]) -> None:
        super().__init__(f"remove {name}: volume is in use - [{', '.join(users)}]")
        self.users = tuple(users)


class VolumeMissing(Corrupt):
    """Raised where a volume is known and its files are gone."""

    def __init__(self, volume: Volume) -> None:
        super().__init__(
            f"volume {volume.name} is damaged: {volume.path} is missing; "
            "restore it from a backup, or remove the volume"
        )


class UnknownDriver(NotFound):
    """Raised for a driver that would be a plugin, in Docker's words."""

    def __init__(self, driver: str) -> None:
        super().__init__(
            f'error looking up volume plugin {driver[:80]}: plugin "{driver[:80]}" not found'
        )


@dataclass(frozen=True, slots=True)
class Arrival:
    """A volume that is being filled out of sight: *part* holds its files in ``_data``."""

    name: str
    part: Path
    labels: Mapping[str, str]
    anonymous: bool = False

    @property
    def files(self) -> Path:
        return self.part / DATA


class _VolumeRecord(msgspec.Struct, frozen=True):
    """By name; *created* in nanoseconds since 1970."""

    created: int
    labels: dict[str, str] = {}
    anonymous: bool = False


class Volumes:
    """The volumes below one folder; safe to use from any thread."""

    def __init__(self, folder: Path, database: Database, bus: Bus, later: Later = at_once) -> None:
        """*later* deletes what was removed."""
        self._folder, self._bus, self._later = folder, bus, later
        self._records: Records[_VolumeRecord] = Records(database, "volume", _VolumeRecord)
        self._lock = threading.RLock()
        self._filling: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._mounted: Counter[str] = Counter()
        folder.mkdir(mode=0o710, parents=True, exist_ok=True)

    def open(self) -> None:
        """Go on where an engine before this one was cut off; for the start, before other calls."""
        sweep(self._folder)
        known = self._records.all()
        for home in self._folder.iterdir():
            try:
                self._settle(home, is_known=home.name in known)
            except OSError:
                _LOG.exception("volume %s cannot be seen to", home.name)

    def create(
        self,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        driver: str = _DRIVER,
        options: Mapping[str, str] | None = None,
        *,
        anonymous: bool = False,
    ) -> Volume:
        """A new volume, durable on return, or the one that has the *name*.

        One that is *anonymous* may bring its name; without a name it always is.
        InvalidVolumeName, UnknownDriver, Unsupported and Invalid for options.
        """
        chosen = random_name() if name is None else check_name(name)
        anonymous = anonymous or name is None
        if driver not in ("", "default", _DRIVER):
            raise UnknownDriver(driver)
        with self._lock:
            record = self._records.get(chosen)
            if record is not None:
                return self._volume(chosen, record)
            _check_options(options or {})
            own = {ANONYMOUS: ""} if anonymous else {}
            record = _VolumeRecord(time.time_ns(), {**(labels or {}), **own}, anonymous)
            self._make(self._folder / chosen)
            self._records.put(chosen, record)
        self._tell("create", chosen)
        return self._volume(chosen, record)

    def stage(self, name: str, labels: Mapping[str, str], *, anonymous: bool = False) -> Arrival:
        """A volume to fill before anybody sees it: bring it in (`bringing`), or `turn_away`."""
        part = staging(self._folder)
        part.mkdir(mode=0o710)
        arrival = Arrival(check_name(name), part, labels, anonymous)
        _lay_out(part)
        seeding.mark_used(part)
        (part / _REMOVING).touch()  # whatever happens before there is a row, the next start removes
        return arrival

    def turn_away(self, arrival: Arrival) -> None:
        """Delete what was not brought in; idempotent."""
        throw_away([arrival.part], self._folder, self._later)

    @contextmanager
    def bringing(self, arrivals: Sequence[Arrival]) -> Iterator[Callable[[], None]]:
        """Make volumes of them, whose files are durable: all of them, or on an error none.

        What the context is given writes their rows: call it once, in a transaction of the
        caller's, which has ended when the context does.  VolumeExists.
        """
        with self._lock, ExitStack() as undo:
            for arrival in arrivals:
                home = self._folder / arrival.name
                if home.exists() or self._records.get(arrival.name) is not None:
                    raise VolumeExists(arrival.name)
                arrival.part.rename(home)
                undo.callback(home.rename, arrival.part)
            fsync_directory(self._folder)
            yield partial(self._record, arrivals)
            undo.pop_all()
            for arrival in arrivals:
                (self._folder / arrival.name / _REMOVING).unlink(missing_ok=True)
        for arrival in arrivals:
            self._tell("create", arrival.name)

    def place(self, name: str) -> Path:
        """Where the files of a volume of that name lie, or will lie."""
        return self._folder / check_name(name) / DATA

    def get(self, name: str) -> Volume:
        """The volume of that name; VolumeNotFound."""
        record = self._records.get(name)
        if record is None:
            raise VolumeNotFound(name)
        return self._volume(name, record)

    def list(self, filters: Filters | None = None, *, users: Users = nobody) -> list[Volume]:
        """The volumes that the filters dangling, driver, label and name let through, by name."""
        wanted = ListFilter(filters or {}, users)
        return [volume for volume in self._all() if wanted.takes(volume)]

    def remove(self, name: str, *, force: bool = False, users: Users = nobody) -> None:
        """Remove a volume with all in it; VolumeInUse.  With *force* it may be gone already."""
        with self._lock:
            if self._records.get(name) is None:
                if force:
                    return
                raise VolumeNotFound(name)
            using = users(name)
            if using:
                raise VolumeInUse(name, using)
            home = self._folder / name
            if home.is_dir():
                (home / _REMOVING).touch()
            self._records.delete(name)
            subpaths.hide(home)
            throw_away([home], self._folder, self._later)
            self._mounted.pop(name, None)
        self._tell("destroy", name)

    def prune(self, filters: Filters, *, users: Users = nobody) -> tuple[Sequence[str], int]:
        """Remove what nobody uses, anonymous volumes unless ``all`` is set: names, and bytes."""
        chosen = PruneFilter(filters)
        names, freed = [], 0
        for volume in self._all():
            if not chosen.takes(volume) or users(volume.name):
                continue
            size = self.size(volume)
            try:
                self.remove(volume.name, users=users)
            except LadingError:  # used since, or gone
                continue
            names.append(volume.name)
            freed += size
        self._bus.publish("volume", "prune", "", {"reclaimed": str(freed)})
        return names, freed

    def size(self, volume: Volume) -> int:
        """Bytes of all its files together."""
        return size_of(volume.path)

    def size_of(self, name: str) -> int | None:
        """The same by name; None where there is no such volume."""
        record = self._records.get(name)
        return None if record is None else self.size(self._volume(name, record))

    def mount(self, volume: Volume) -> None:
        """A container is about to use it: `release` it as often as this.  VolumeMissing."""
        if not volume.path.is_dir():
            raise VolumeMissing(volume)
        with self._lock:
            self._mounted[volume.name] += 1

    def release(self, volume: Volume) -> None:
        """A container, of this engine or of the one before it, does not use it any more."""
        with self._lock:
            self._mounted[volume.name] -= 1
            if self._mounted[volume.name] <= 0:
                del self._mounted[volume.name]
                subpaths.hide(volume.path.parent)

    def seed(self, volume: Volume, rootfs: Path, destination: str) -> None:
        """Fill an empty volume with what *rootfs* has at *destination*; all or nothing."""
        with self._lock:
            filling = self._filling[volume.name]
        with filling:
            seeding.seed(volume.path.parent, rootfs, destination)

    def source(self, volume: Volume, subpath: str) -> Path:
        """What to mount for a volume, or for a part of it, which is safe from being swapped.

        A part stays mounted until the volume is released.  SubpathNotFound.
        """
        if not subpath:
            return volume.path
        with self._lock:
            return subpaths.show(volume.path.parent, volume.path, subpath)

    def _record(self, arrivals: Iterable[Arrival]) -> None:
        for each in arrivals:
            record = _VolumeRecord(time.time_ns(), dict(each.labels), each.anonymous)
            self._records.put(each.name, record)

    def _settle(self, home: Path, *, is_known: bool) -> None:
        subpaths.hide(home)
        if is_known:
            (home / _REMOVING).unlink(missing_ok=True)
            seeding.finish(home)
        elif (home / _REMOVING).exists() or seeding.is_empty(home):
            throw_away([home], self._folder)
        else:
            _LOG.warning("%s has files and no record: make the volume to have them", home)

    def _all(self) -> Sequence[Volume]:
        return [self._volume(name, record) for name, record in self._records.all().items()]

    def _volume(self, name: str, record: _VolumeRecord) -> Volume:
        return Volume(
            name,
            self._folder / name / DATA,
            rfc3339(record.created // _SECOND * _SECOND),
            driver=_DRIVER,
            labels=record.labels,
            anonymous=record.anonymous,
        )

    def _make(self, home: Path) -> None:
        """The volume's directory, durable; one that is there without a row is taken up."""
        if home.exists():
            _LOG.warning("%s was there without a record, and is taken up", home)
        else:
            part = staging(self._folder)
            part.mkdir(mode=0o710)
            try:
                _lay_out(part)
                part.rename(home)
            finally:
                throw_away([part], self._folder)
        if not (home / DATA).is_dir():
            _lay_out(home)
        fsync_directory(self._folder)

    def _tell(self, action: str, name: str) -> None:
        self._bus.publish("volume", action, name, {"driver": _DRIVER})


def _lay_out(home: Path) -> None:
    (home / DATA).mkdir()
    (home / DATA).chmod(0o755)  # whatever the umask is
    fsync_directory(home)


def _check_options(options: Mapping[str, str]) -> None:
    for name in options:
        if name in _MOUNT_OPTIONS:
            raise Unsupported(f"volume option {name!r} is not supported: use a bind mount instead")
        raise Invalid(f"invalid option: {name[:80]!r}")
