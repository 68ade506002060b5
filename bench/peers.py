"""The engines under measurement, each on its own root, socket and network namespace."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

LADING = Path(__file__).parent.parent / ".venv" / "bin" / "lading"


@dataclass
class Engine:
    """A running engine and the command line that drives it."""

    name: str
    version: str
    cli: tuple[str, ...]
    processes: tuple[str, ...]  # what to look for when memory is summed up
    home: Path
    daemon: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def run(self, *words: str, stdin: Path | None = None, fails: bool = False) -> str:
        """Run one command of this engine; its standard output."""
        with (stdin or Path(os.devnull)).open("rb") as given:
            done = subprocess.run([*self.cli, *words], stdin=given, capture_output=True, text=True)
        if done.returncode and not fails:
            raise SystemExit(f"{self.name}: {' '.join(words)}: {done.stderr or done.stdout}")
        return done.stdout.strip()

    def run_in(self, image: str, *words: str) -> tuple[str, ...]:
        """The words that run a command in a new container without a network."""
        # Podman asks for limits that a machine without the capability may not raise.
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
        limits = limits if self.name == "podman" else ()
        return ("run", "--rm", "--network", "none", *limits, image, *words)

    def disk(self) -> int:
        """Bytes that everything this engine keeps takes on the disk."""
        os.sync()
        words = ["du", "-sxB1", str(self.home)]
        return int(subprocess.run(words, capture_output=True, check=False).stdout.split()[0])

    def timed(self, *words: str, stdin: Path | None = None) -> float:
        """Seconds of wall time that the command takes, everything flushed before."""
        os.sync()
        begin = time.perf_counter()
        self.run(*words, stdin=stdin)
        return time.perf_counter() - begin

    def memory(self) -> int:
        """Bytes of proportional memory of all processes of this engine (daemon and monitors)."""
        return sum(_pss(pid) for pid in self._pids())

    def cpu(self) -> float:
        """Seconds of processor time that the daemons, and all commands so far, have taken."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime + sum(_cpu(pid) for pid in self._pids())

    def _pids(self) -> Iterator[int]:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                line = _command(entry)
                if any(p in line for p in self.processes) and str(self.home) in line:
                    yield int(entry.name)


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # its own, and its children's


def _pss(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in rollup.splitlines() if line[:4] == "Pss:") * 1024


@contextmanager
def disk(folder: Path, size: str = "24G") -> Iterator[Path]:
    """A fresh, journaled ext4 for all sides: the host's own may be slow for reasons of its age."""
    image, mount = folder / "disk.img", folder / "disk"
    mount.mkdir(parents=True, exist_ok=True)
    subprocess.run(["truncate", "-s", size, str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-R", "-l", str(mount)], check=False)
        image.unlink()


@contextmanager
def lading(home: Path) -> Iterator[Engine]:
    """This checkout's engine."""
    host = f"unix://{home}/run/lading.sock"
    words = [str(LADING), "daemon", "--root", f"{home}/root", "--run-root", f"{home}/run"]
    cli = (str(LADING), "--host", host)
    with _daemon("ldbench-lading", [*words, "--host", host], home) as daemon:
        engine = Engine("lading", "", cli, ("lading daemon", "conmon"), home, daemon)
        _wait_for(engine)
        engine.version = engine.run("version", "--format", "{{.Server.Version}}")
        yield engine
        engine.run("system", "reset", "--force", fails=True)


@contextmanager
def docker(home: Path) -> Iterator[Engine]:
    """Docker Engine from Debian's docker.io."""
    host = f"unix://{home}/docker.sock"
    places = ["--data-root", f"{home}/root", "--exec-root", f"{home}/exec", "-p", f"{home}/pid"]
    cli = ("/usr/bin/docker", "--host", host)
    with _daemon("ldbench-docker", ["/usr/sbin/dockerd", *places, "-H", host], home) as daemon:
        engine = Engine("docker", "", cli, ("dockerd", "containerd"), home, daemon)
        _wait_for(engine)
        engine.version = engine.run("version", "--format", "{{.Server.Version}}")
        yield engine
        for container in engine.run("ps", "-aq").split():
            engine.run("rm", "-f", container, fails=True)


@contextmanager
def podman(home: Path) -> Iterator[Engine]:
    """Podman from Debian, which has no daemon, on storage of its own with its default driver."""
    home.mkdir(parents=True)
    places = ("--root", f"{home}/root", "--runroot", f"{home}/run")
    ways = ("--storage-driver", "overlay", "--cgroup-manager", "cgroupfs")
    quiet = ("--events-backend", "none", "--log-level", "error")
    cli = ("/usr/bin/podman", *places, *ways, *quiet)
    engine = Engine("podman", "", cli, ("conmon",), home)
    engine.version = engine.run("version", "--format", "{{.Client.Version}}")
    yield engine
    engine.run("rm", "-fa", "-t", "0", fails=True)
    subprocess.run(["umount", "-R", "-l", f"{home}/root/overlay"], capture_output=True, check=False)


@contextmanager
def _daemon(space: str, words: Sequence[str], home: Path) -> Iterator[subprocess.Popen[bytes]]:
    home.mkdir(parents=True)
    subprocess.run(["ip", "netns", "add", space], check=True)
    subprocess.run(["ip", "-n", space, "link", "set", "lo", "up"], check=True)
    log = (home / "log").open("wb")
    inside = ["nsenter", f"--net=/run/netns/{space}", *words]
    daemon = subprocess.Popen(inside, stdout=log, stderr=log, start_new_session=True)
    try:
        yield daemon
    finally:
        _stop(daemon)
        log.close()
        subprocess.run(["ip", "netns", "del", space], check=False)
        shutil.copy(home / "log", f"/tmp/{space}.log")


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    if daemon.poll() is None:
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(timeout=30)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _wait_for(engine: Engine) -> None:
    for _ in range(300):
        if subprocess.run([*engine.cli, "ps"], capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    raise SystemExit(f"{engine.name} did not start: see {engine.home}/log")
