#!/usr/bin/env python3
"""Measure lading against Docker Engine in one run and print the table of PERFORMANCE budgets.

As root: ``.venv/bin/python bench/run.py [--rounds N] [--only WORD]``.  Both engines work
on one fresh ext4; rounds are interleaved; the figures are medians of wall seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import inputs
import peers
from peers import Engine

BUSYBOX = "busybox:latest"


@dataclass
class Table:
    """Medians by operation and engine."""

    rounds: int
    only: str
    rows: dict[str, tuple[float, dict[str, list[float]]]] = field(default_factory=dict)

    def wanted(self, operation: str) -> bool:
        return self.only in operation

    def note(self, operation: str, budget: float, engine: Engine, value: float) -> None:
        row = self.rows.setdefault(operation, (budget, {}))
        row[1].setdefault(engine.name, []).append(value)

    def measure(
        self,
        operation: str,
        budget: float,
        engines: list[Engine],
        once: Callable[[Engine], float],
        *,
        rounds: int | None = None,
    ) -> None:
        """Run *once* on each engine in turn, one warm-up first."""
        if not self.wanted(operation):
            return
        for engine in engines:
            once(engine)
        for _ in range(rounds or self.rounds):
            for engine in engines:
                self.note(operation, budget, engine, once(engine))

    def lines(self) -> Iterator[str]:
        yield "| operation | lading | docker | ratio | budget | |"
        yield "|---|---|---|---|---|---|"
        for name, (budget, sides) in self.rows.items():
            ours, theirs = (statistics.median(sides[s]) for s in ("lading", "docker"))
            ratio = ours / theirs
            verdict = "ok" if ratio <= budget else "over"
            yield f"| {name} | {ours:.3f} | {theirs:.3f} | {ratio:.2f} | {budget:.2f} | {verdict} |"


def containers(table: Table, engines: list[Engine]) -> None:
    """Starting, entering and listing containers."""
    run = ("run", "--rm")
    table.measure("cli --version", 1.5, engines, lambda e: e.timed("--version"))
    table.measure("run --rm true", 0.40, engines, lambda e: e.timed(*run, BUSYBOX, "true"))
    table.measure(
        "run --rm --network none true",
        0.40,
        engines,
        lambda e: e.timed(*run, "--network", "none", BUSYBOX, "true"),
    )
    table.measure(
        "run --rm -p true", 0.33, engines, lambda e: e.timed(*run, "-p", "80", BUSYBOX, "true")
    )
    for engine in engines:
        engine.run("run", "-d", "--name", "probe", BUSYBOX, "sleep", "100000")
    table.measure("exec true", 0.75, engines, lambda e: e.timed("exec", "probe", "true"))
    for engine in engines:
        engine.run("rm", "-f", "probe")


def fifty(table: Table, engines: list[Engine]) -> None:
    """Fifty containers at once."""
    if not any(table.wanted(word) for word in ("50 x run -d", "ps, 50", "memory (MB), 50")):
        return
    for engine in engines:
        begin = time.perf_counter()
        for n in range(50):
            engine.run("run", "-d", "--name", f"c{n}", BUSYBOX, "sleep", "100000")
        table.note("50 x run -d", 0.50, engine, time.perf_counter() - begin)
        table.note("memory (MB), 50 running", 0.40, engine, engine.memory() / 1e6)
    table.measure("ps, 50 containers", 1.0, engines, lambda e: e.timed("ps"))
    for engine in engines:
        engine.run("rm", "-f", *(f"c{n}" for n in range(50)))


def images(table: Table, engines: list[Engine], made: inputs.Inputs, folder: Path) -> None:
    """Loading, saving and removing."""
    for name, archive, budget in (
        ("load, gzip'd 800 MB", made.large_gzip, 0.20),
        ("load, plain 800 MB", made.large, 0.15),
    ):
        if not table.wanted("load") and not table.wanted("rmi") and not table.wanted("save"):
            continue
        for _ in range(2):
            for engine in engines:
                table.note(name, budget, engine, engine.timed("load", "-i", str(archive)))
                table.note("rmi 800 MB", 0.10, engine, engine.timed("rmi", "bench/large:1"))
    for engine in engines:
        engine.run("load", "-i", str(made.large))
    out = str(folder / "saved.tar")
    save = ("save", "-o", out, "bench/large:1")
    table.measure("save 800 MB", 0.12, engines, lambda e: e.timed(*save), rounds=2)
    table.measure("import 170 MB", 0.25, engines, lambda e: _imported(e, made.base_tar), rounds=2)


def _imported(engine: Engine, tar: Path) -> float:
    took = engine.timed("import", str(tar), "bench/imported:1")
    engine.run("rmi", "bench/imported:1")
    return took


def commits(table: Table, engines: list[Engine], made: inputs.Inputs) -> None:
    """Committing 10,000 new files of 20 kB."""
    if not table.wanted("commit"):
        return
    fill = "mkdir /d && head -c 200000000 /dev/urandom | split -b 20000 -a 4 - /d/f"
    for engine in engines:
        engine.run("load", "-i", str(made.base))
        engine.run("run", "-d", "--name", "filled", "bench/base:1", "sleep", "100000")
        engine.run("exec", "filled", "sh", "-c", fill)
    table.measure("commit, 10,000 files, 200 MB", 0.45, engines, _committed, rounds=2)
    for engine in engines:
        engine.run("rm", "-f", "filled")


def _committed(engine: Engine) -> float:
    took = engine.timed("commit", "filled", "bench/committed:1")
    engine.run("rmi", "bench/committed:1")
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="operations whose name holds this word")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/lading-bench"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    made = inputs.make(options.folder / "inputs")
    table = Table(options.rounds, options.only)
    with tempfile.TemporaryDirectory(dir=options.folder) as work:
        _compare(table, made, Path(work))
    print(json.dumps(table.rows) if options.json else "\n".join(table.lines()))
    return 0


def _compare(table: Table, made: inputs.Inputs, work: Path) -> None:
    with (
        peers.disk(work) as disk,
        peers.docker(disk / "docker") as theirs,
        peers.lading(disk / "lading") as ours,
    ):
        print(f"lading {ours.version} against docker {theirs.version}", file=sys.stderr)
        ours.run("image", "bootstrap", "busybox")
        ours.run("save", "-o", str(disk / "busybox.tar"), BUSYBOX)
        theirs.run("load", "-i", str(disk / "busybox.tar"))
        engines = [ours, theirs]
        containers(table, engines)
        fifty(table, engines)
        images(table, engines, made, disk)
        commits(table, engines, made)


if __name__ == "__main__":
    raise SystemExit(main())
