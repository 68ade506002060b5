#!/usr/bin/env python3
"""Compare the data part of a backup with restic: first backup, nothing changed, little changed.

Both read the same tree on the same file system in one run, and both make durable what they
write.  Ratios count, not seconds: ours over restic's, against the budgets of PERFORMANCE.md.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from lading.backup import tree
from lading.backup.capture import Before, Captured, PartCapture
from lading.backup.contents import Contents
from lading.backup.depot import Depot, open_depot
from lading.backup.laying import lay
from lading.backup.locations import Location
from lading.backup.looking import everything, excluding
from lading.backup.packing import Chunk, Packing
from lading.backup.slots import Secret

MIB = 1024 * 1024
PHRASE = "a phrase for a benchmark"


@dataclass(frozen=True)
class Row:
    """One comparison; *budget* is the most that ours may take of restic's time."""

    what: str
    ours: float
    theirs: float
    budget: float
    processor: tuple[float, float] = (0.0, 0.0)  # seconds, ours and theirs

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


class Ours:
    """lading's capture of one directory, into a directory target."""

    def __init__(self, place: Path) -> None:
        self.depot: Depot = open_depot(
            Location.parse(str(place)), Secret.passphrase(PHRASE.encode()), make=True
        )
        self.last: Captured | None = None
        self.added = 0

    def backup(self, data: Path) -> None:
        before = None
        if self.last is not None:
            sizes = {pack.digest: pack for pack in self.last.packs}
            before = Before.of(tree.decode(self.last.encoded()), sizes)
        leave_nothing_out = excluding(())
        with Packing(self.depot.place, self.depot.keys, self._known) as packing:
            part = PartCapture(
                data, lambda top: everything(top, leave_nothing_out), packing, before
            )
            part.look()
            part.look()
            packing.finish()
            self.last, self.added = part.finish(), packing.added
        self.last.encoded()

    def restore(self, to: Path) -> None:
        assert self.last is not None
        found = tree.decode(self.last.encoded())
        with Contents(self.depot, {pack.digest: pack for pack in self.last.packs}) as contents:
            lay(found, contents, to)

    def _known(self) -> dict[bytes, Chunk]:
        if self.last is None:
            return {}
        return self.depot.chunks_of(self.last.packs)


class Restic:
    """restic, with its own repository in a directory."""

    def __init__(self, place: Path) -> None:
        self.environment = {
            **os.environ,
            "RESTIC_PASSWORD": PHRASE,
            "RESTIC_REPOSITORY": str(place),
            "XDG_CACHE_HOME": str(place.parent / "restic-cache"),
        }
        self._run("init")

    def backup(self, data: Path) -> None:
        self._run("backup", str(data))

    def restore(self, to: Path) -> None:
        self._run("restore", "latest", "--target", str(to))

    def _run(self, *words: str) -> None:
        subprocess.run(["restic", "-q", *words], env=self.environment, check=True)


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, with everything flushed, and of processors."""
    os.sync()
    began, used = time.monotonic(), _processor()
    act()
    os.sync()
    return time.monotonic() - began, _processor() - used


def _processor() -> float:
    return sum(os.times()[:4])


def fill(data: Path, mebibytes: int) -> None:
    """Half programs and text of this host, half bytes that no compression helps."""
    wanted = mebibytes * MIB // 2
    for name in ("lib", "share", "bin"):
        source = Path("/usr") / name
        for folder, _, files in os.walk(source):
            for each in files:
                path = Path(folder) / each
                if wanted > 0 and path.is_file() and not path.is_symlink():
                    target = data / path.relative_to("/")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target)
                    wanted -= path.stat().st_size
    with (data / "random").open("wb") as out:
        for _ in range(mebibytes // 2):
            out.write(os.urandom(MIB))


def change(data: Path) -> None:
    """1 MiB in the middle of the large file."""
    with (data / "random").open("r+b") as out:
        out.seek(os.path.getsize(data / "random") // 2)
        out.write(os.urandom(MIB))


def compare(folder: Path, mebibytes: int) -> list[Row]:
    data = folder / "data"
    data.mkdir()
    fill(data, mebibytes)
    time.sleep(1)
    ours, theirs = Ours(folder / "ours"), Restic(folder / "restic")
    timed(lambda: subprocess.run(["tar", "-cf", "/dev/null", str(data)], check=True))  # warm
    rows = [row("first backup", ours.backup, theirs.backup, data, 1 / 1.5)]
    rows.append(row("nothing changed", ours.backup, theirs.backup, data, 0.33))
    change(data)
    time.sleep(0.2)  # what changed in the very moment would be looked at twice
    rows.append(row("1 MiB changed", ours.backup, theirs.backup, data, 0.33))
    print(f"1 MiB changed added {ours.added / MIB:.2f} MiB")
    for side in ("ours-restored", "restic-restored"):
        (folder / side).mkdir()
    rows.append(
        row(
            "restore",
            lambda _: ours.restore(folder / "ours-restored"),
            lambda _: theirs.restore(folder / "restic-restored"),
            data,
            1.0,
        )
    )
    print(f"first backup: {mebibytes * MIB / 1e6 / rows[0].ours:.0f} MB/s")
    return rows


def row(
    what: str,
    ours: Callable[[Path], None],
    theirs: Callable[[Path], None],
    data: Path,
    budget: float,
) -> Row:
    (our_time, our_use), (their_time, their_use) = (
        timed(partial(side, data)) for side in (ours, theirs)
    )
    return Row(what, our_time, their_time, budget, (our_use, their_use))


def main() -> int:
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIRECTORY")) as folder:
        rows = compare(Path(folder), mebibytes)
    version = subprocess.run(["restic", "version"], capture_output=True, text=True, check=True)
    print(version.stdout.strip())
    heads = ("lading s", "restic s", "ratio", "budget", "cpu s", "restic cpu s")
    print(f"{'':<18}" + "".join(f"{head:>13}" for head in heads))
    for each in rows:
        figures = (each.ours, each.theirs, each.ratio, each.budget, *each.processor)
        told = "".join(f"{figure:>13.2f}" for figure in figures)
        print(f"{each.what:<18}{told}{'' if each.ratio <= each.budget else '  over'}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:.0f} MiB")
    return int(any(each.ratio > each.budget for each in rows))


if __name__ == "__main__":
    sys.exit(main())
