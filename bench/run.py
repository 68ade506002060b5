#!/usr/bin/env python3
"""Measure lading against Docker Engine and Podman in one run, and print a table of ratios.

As root: ``.venv/bin/python bench/run.py [--rounds N] [--only WORD]``.  All engines work on
one fresh ext4; rounds are interleaved; the figures are medians.  A budget is what lading may
take for each unit that the best of the others takes.
"""

from __future__ import annotations

import argparse
import json
import platform
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
import reading
from peers import Engine

BUSYBOX = "busybox:latest"
SIDES = ("lading", "docker", "podman", "ext4")


@dataclass
class Table:
    """Values by operation and engine."""

    rounds: int
    only: str
    rows: dict[str, tuple[float, dict[str, list[float]]]] = field(default_factory=dict)

    def wanted(self, *operations: str) -> bool:
        return any(self.only in operation for operation in operations)

    def note(self, operation: str, budget: float, side: str, value: float) -> None:
        row = self.rows.setdefault(operation, (budget, {}))
        row[1].setdefault(side, []).append(value)

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
                self.note(operation, budget, engine.name, once(engine))

    def lines(self) -> Iterator[str]:
        """The table in Markdown."""
        yield f"| operation | {' | '.join(SIDES)} | ratio to the best | budget | |"
        yield "|---" * (len(SIDES) + 4) + "|"
        for name, (budget, sides) in self.rows.items():
            medians = {side: statistics.median(values) for side, values in sides.items()}
            shown = [f"{medians[s]:.3f}" if s in medians else "" for s in SIDES]
            ratio = medians["lading"] / min(v for s, v in medians.items() if s != "lading")
            verdict = "ok" if ratio <= budget else "over"
            yield f"| {name} | {' | '.join(shown)} | {ratio:.2f} | {budget:.2f} | {verdict} |"


def containers(table: Table, engines: list[Engine]) -> None:
    """Starting, entering and listing containers."""
    table.measure("cli --version", 1.5, engines, lambda e: e.timed("--version"))
    for name, budget, words in (
        ("run --rm true", 0.40, ()),
        ("run --rm --network none true", 0.40, ("--network", "none")),
        ("run --rm -p true", 0.33, ("-p", "80")),
    ):
        line = ("run", "--rm", *words, BUSYBOX, "true")
        table.measure(name, budget, engines, lambda e, line=line: e.timed(*line))
    if table.wanted("exec true"):
        for engine in engines:
            engine.run("run", "-d", "--name", "probe", BUSYBOX, "sleep", "100000")
        table.measure("exec true", 0.75, engines, lambda e: e.timed("exec", "probe", "true"))
        for engine in engines:
            engine.run("rm", "-f", "probe")


def fifty(table: Table, engines: list[Engine]) -> None:
    """Fifty containers at once."""
    if not table.wanted("50 x run -d", "ps, 50 containers", "memory (MB), 50 running"):
        return
    for engine in engines:
        begin = time.perf_counter()
        for n in range(50):
            engine.run("run", "-d", "--name", f"c{n}", BUSYBOX, "sleep", "100000")
        table.note("50 x run -d", 0.50, engine.name, time.perf_counter() - begin)
        table.note("memory (MB), 50 running", 0.40, engine.name, engine.memory() / 1e6)
    table.measure("ps, 50 containers", 1.0, engines, lambda e: e.timed("ps"))
    for engine in engines:
        engine.run("rm", "-f", *(f"c{n}" for n in range(50)))


def images(table: Table, engines: list[Engine], made: inputs.Inputs) -> None:
    """Loading, a first container, and removing; what the image takes on the disk."""
    rmi = {"base": "rmi 170 MB", "large": "rmi 800 MB"}
    for name, archive, image, budget in (
        ("load, gzip'd 170 MB", made.base_gzip, "base", 0.20),
        ("load, plain 170 MB", made.base, "base", 0.15),
        ("load, gzip'd 800 MB", made.large_gzip, "large", 0.20),
        ("load, plain 800 MB", made.large, "large", 0.15),
    ):
        first = f"first run after {name}"
        if not table.wanted(name, first, rmi[image]):
            continue
        for _ in range(max(2, table.rounds // 2)):
            for engine in engines:
                before, cpu = engine.disk(), engine.cpu()
                took = engine.timed("load", "-i", str(archive))
                table.note(name, budget, engine.name, took)
                table.note(f"processor s, {name}", budget, engine.name, engine.cpu() - cpu)
                size = (engine.disk() - before) / 1e6
                table.note(f"disk (MB) after {name}", 1.10, engine.name, size)
                words = engine.run_in(f"bench/{image}:1", "true")
                table.note(first, 0.40, engine.name, engine.timed(*words))
                removed = engine.timed("rmi", f"bench/{image}:1")
                table.note(rmi[image], 0.10, engine.name, removed)


def archives(table: Table, engines: list[Engine], made: inputs.Inputs, folder: Path) -> None:
    """Saving and importing."""
    if table.wanted("save 800 MB"):
        for engine in engines:
            engine.run("load", "-i", str(made.large))
        table.measure(
            "save 800 MB",
            0.12,
            engines,
            lambda e: _saved(e, folder / "saved.tar"),
            rounds=max(2, table.rounds // 2),
        )
        for engine in engines:
            engine.run("rmi", "bench/large:1")
    table.measure(
        "import 170 MB",
        0.25,
        engines,
        lambda e: _imported(e, made.base_tar),
        rounds=max(2, table.rounds // 2),
    )


def _saved(engine: Engine, out: Path) -> float:
    out.unlink(missing_ok=True)  # podman does not replace it
    return engine.timed("save", "-o", str(out), "bench/large:1")


def _imported(engine: Engine, tar: Path) -> float:
    took = engine.timed("import", str(tar), "bench/imported:1")
    engine.run("rmi", "bench/imported:1")
    return took


def commits(table: Table, engines: list[Engine], made: inputs.Inputs) -> None:
    """Committing 10,000 new files of 20 kB."""
    operation = "commit, 10,000 files, 200 MB"
    if not table.wanted(operation):
        return
    fill = "mkdir /d && head -c 200000000 /dev/urandom | split -b 20000 -a 4 - /d/f"
    for engine in engines:
        engine.run("load", "-i", str(made.base))
        words = engine.run_in("bench/base:1", "sleep", "100000")
        engine.run(words[0], "-d", "--name", "filled", *words[2:])
        engine.run("exec", "filled", "sh", "-c", fill)
    table.measure(operation, 0.45, engines, _committed, rounds=max(2, table.rounds // 2))
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
        peers.docker(disk / "docker") as docker,
        peers.podman(disk / "podman") as podman,
        peers.lading(disk / "lading") as ours,
    ):
        versions = ", ".join(f"{e.name} {e.version}" for e in (ours, docker, podman))
        print(f"{versions}; Linux {platform.release()}", file=sys.stderr)
        ours.run("image", "bootstrap", "busybox")
        ours.run("save", "-o", str(disk / "busybox.tar"), BUSYBOX)
        docker.run("load", "-i", str(disk / "busybox.tar"))
        # Podman has no daemon: what it takes to start containers is told by the first runs.
        containers(table, [ours, docker])
        fifty(table, [ours, docker])
        images(table, [ours, docker, podman], made)
        archives(table, [ours, docker, podman], made, disk)
        commits(table, [ours, docker, podman], made)
        if table.wanted("run-time: find, cat, python, compile"):
            reading.compare(ours, made, disk, table.note, max(2, table.rounds // 2))


if __name__ == "__main__":
    raise SystemExit(main())
