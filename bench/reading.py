"""What a container's files cost at run time, against the same files unpacked on ext4.

Both trees are entered with chroot, so that nothing else differs; the container's is the
root that its engine mounted.  Cold means that the kernel's caches were dropped before.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import inputs
from peers import Engine

Note = Callable[[str, float, str, float], None]  # row, budget, side, value
_CACHES = Path("/proc/sys/vm/drop_caches")
_ALL = ("sh", "-c", "find /usr /etc /var -xdev -type f -exec cat {} + >/dev/null")
_LARGE = {
    "find /": ("find", "/usr", "/etc", "/var", "-xdev", "-newer", "/etc/passwd"),
    "cat of every file": _ALL,
}
_TOOLS = {
    "python3 -c 'import json, ssl'": ("python3", "-c", "import json, ssl, asyncio"),
    "compile 2,000 functions": ("gcc", "-O1", "-o", "/tmp/built", "/tmp/built.c"),
}
_BUDGET = 1.15


def compare(ours: Engine, made: inputs.Inputs, disk: Path, note: Note, rounds: int) -> None:
    """Measure each command on both sides, cold and warm, in turn."""
    plain = disk / "plain"
    for name, tars, commands in (
        ("large", (made.base_tar, made.extra_tar), _LARGE),
        ("tools", (made.tools_tar,), _TOOLS),
    ):
        _unpack(tars, plain)
        with _container(ours, made, name) as root:
            for side in (plain, root):
                (side / "tmp" / "built.c").write_text(_program())
            for row, words in commands.items():
                _measure(row, words, {"lading": root, "ext4": plain}, note, rounds)
        shutil.rmtree(plain)


def _measure(
    row: str, words: tuple[str, ...], sides: dict[str, Path], note: Note, rounds: int
) -> None:
    for _ in range(rounds):
        for name, root in sides.items():
            os.sync()
            _CACHES.write_text("3")
            note(f"{row}, cold", _BUDGET, name, _timed(root, words))
            warm = [_timed(root, words) for _ in range(3)]
            note(f"{row}, warm", _BUDGET, name, statistics.median(warm))


def _timed(root: Path, words: tuple[str, ...]) -> float:
    begin = time.perf_counter()
    subprocess.run(["chroot", str(root), *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def _unpack(tars: tuple[Path, ...], target: Path) -> None:
    target.mkdir()
    for tar in tars:
        subprocess.run(["tar", "-C", str(target), "--numeric-owner", "-xpf", str(tar)], check=True)


@contextmanager
def _container(ours: Engine, made: inputs.Inputs, name: str) -> Iterator[Path]:
    """The root of a container that runs, as its engine has mounted it."""
    image = f"bench/{name}:1"
    if name == "tools":
        ours.run("import", str(made.tools_tar), image)
    else:
        ours.run("load", "-i", str(made.large))
    found = ours.run("run", "-d", "--network", "none", image, "sleep", "100000")
    try:
        yield ours.home / "root" / "containers" / found / "rootfs"
    finally:
        ours.run("rm", "-f", found)
        ours.run("rmi", image)


def _program() -> str:
    bodies = [f"int f{n}(int x) {{ return x * {n} + (x >> {n % 7}); }}" for n in range(2000)]
    calls = " + ".join(f"f{n}(c)" for n in range(2000))
    return "\n".join(["#include <stdio.h>", *bodies, f"int main(int c) {{ return {calls}; }}", ""])
