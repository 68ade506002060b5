"""The package: a wheel is built, installed away from the checkout, works, and goes again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
UNITS = ("lading.service", "lading.socket")


def call(*words: str | Path, **environment: str) -> str:
    """Run a program outside the checkout; what it printed."""
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        timeout=300,
        cwd="/",
        env={"PATH": os.environ["PATH"], "PIP_NO_CACHE_DIR": "1", **environment},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing of the building stays in the checkout."""
    place = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(CHECKOUT / "src", place / "source/src", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, place / "source")
    options = ("--no-deps", "--no-build-isolation", "--disable-pip-version-check", "-q")
    call(sys.executable, "-m", "pip", "wheel", *options, "-w", place, place / "source")
    (built,) = place.glob("lading-*.whl")
    return built


@pytest.fixture(scope="module")
def venv(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new environment with the wheel; what it depends on is this one's, by a path file."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", place)
    (target,) = place.glob("lib/python*/site-packages")
    dependencies = place / "dependencies"
    dependencies.mkdir()
    here = Path(next(p for p in sys.path if p.endswith("site-packages")))
    for entry in here.iterdir():
        if "lading" not in entry.name and entry.suffix != ".pth":
            (dependencies / entry.name).symlink_to(entry)
    (target / "dependencies.pth").write_text(f"{dependencies}\n")
    pip = (sys.executable, "-m", "pip", "--python", place / "bin/python", "-q")
    call(*pip, "install", "--no-deps", "--no-index", "--disable-pip-version-check", wheel)
    yield place
    call(*pip, "uninstall", "-y", "lading")
    left = [path for path in target.rglob("*") if "lading" in path.name]
    assert left == [] and not (place / "bin/lading").exists()


def test_the_command_is_the_installed_one_and_works(venv: Path) -> None:
    where = call(venv / "bin/python", "-c", "import lading; print(lading.__file__)")
    assert where.startswith(str(venv))
    assert call(venv / "bin/lading", "--version").startswith("lading version ")
    assert "Usage:  lading run" in call(venv / "bin/lading", "run", "--help")
    assert "--root" in call(venv / "bin/lading", "daemon", "--help")


def test_every_module_can_be_imported(venv: Path) -> None:
    program = (
        "import importlib, pkgutil, lading\n"
        "for m in pkgutil.walk_packages(lading.__path__, 'lading.'):\n"
        "    m.name.endswith('__main__') or importlib.import_module(m.name)\n"
    )
    call(venv / "bin/python", "-W", "error", "-c", program)


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("lading sys", "system"),
        ("lading run --pull=m", "missing"),
        ("lading image bootstrap ", "busybox debian"),
        ("lading load -i /etc/hostna", "/etc/hostname"),
    ],
)
def test_bash_completes(line: str, replies: str, venv: Path) -> None:
    path = f"{venv}/bin:/usr/bin:/bin"
    script = call(venv / "bin/lading", "completion", "bash")
    script += f'COMP_LINE="{line}"; COMP_POINT={len(line)}; _lading; echo "${{COMPREPLY[*]}}"\n'
    said = call("bash", "-c", script, PATH=path, LADING_HOST="unix:///nonexistent")
    assert said.split() == replies.split()


def test_the_units_are_sound(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    for name in UNITS:
        shutil.copy(CHECKOUT / "packaging" / name, tmp_path)
    call("systemd-analyze", "verify", *(tmp_path / name for name in UNITS))


def test_stopping_the_service_leaves_the_containers_alone() -> None:
    lines = (CHECKOUT / "packaging/lading.service").read_text().splitlines()
    assert {"KillMode=process", "Delegate=yes", "Type=notify"} <= set(lines)


def test_the_installed_daemon_serves_the_socket_it_is_handed(venv: Path) -> None:
    """As systemd hands it over: listening, as descriptor 3; and it says when it is ready."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with tempfile.TemporaryDirectory(prefix="lading-") as place:
        listener = socket.socket(socket.AF_UNIX)
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with listener, told:
            listener.bind(f"{place}/sock")
            listener.listen()
            told.bind(f"{place}/told")
            told.settimeout(30)
            daemon = activated(venv, place, listener)
            try:
                assert told.recv(100) == b"READY=1"
                host = f"unix://{place}/sock"
                lading = (venv / "bin/lading", "--host", host)
                assert call(*lading, "info", "--format", "{{.DockerRootDir}}") == f"{place}/root\n"
                call(*lading, "system", "reset", "--force")
                assert daemon.wait(30) == 0
            finally:
                daemon.kill()
                daemon.wait()
        assert Path(f"{place}/sock").exists()  # it is systemd's to remove


def activated(venv: Path, place: str, listener: socket.socket) -> subprocess.Popen[bytes]:
    """The daemon with *listener* as descriptor 3, and what sd_listen_fds(3) wants to be told."""
    daemon = ("lading", "daemon", "--root", f"{place}/root", "--run-root", f"{place}/run")
    script = f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
    return subprocess.Popen(
        ["bash", "-c", script, "bash", *daemon],
        env={"PATH": f"{venv}/bin:{os.environ['PATH']}", "NOTIFY_SOCKET": f"{place}/told"},
        pass_fds=[listener.fileno()],
        cwd="/",
    )
