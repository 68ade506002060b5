"""Containers of busybox, straight through the runtime package; whatever happens, nothing stays."""

from __future__ import annotations

import platform
import shutil
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from lading.linux.process import reap
from lading.runtime import bundle, conmon, oci, roots, seccomp
from lading.runtime.conmon import ContainerLaunch, ExecLaunch, Launched
from lading.runtime.logs import Entry, Parser
from lading.runtime.spec import ProcessRequest, SpecRequest, process, spec
from lading.settings import Settings

_APPLETS = """
awk cat chmod chown cp dd df echo env false grep head hostname id kill ls mkdir mknod mount mv
nproc ping ps pwd rm sh sleep sort stat stty sync tail test touch tr true tty umount uname wc yes
"""
_SECONDS = 20.0


def busybox() -> str:
    found = shutil.which("busybox")
    assert found, "the tests need the package busybox-static"
    return found


def make_root(root: Path) -> Path:
    """A root file system with little in it."""
    for name in ("bin", "dev", "proc", "sys", "etc", "tmp", "root"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(busybox(), root / "bin/busybox")
    for applet in _APPLETS.split():
        (root / "bin" / applet).symlink_to("busybox")
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/tmp:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nann:x:1000:\nstaff:x:50:ann\nwheel:x:10:ann\n")
    return root


def host() -> seccomp.Host:
    major, minor = platform.release().split(".")[:2]
    return seccomp.Host(platform.machine(), (int(major), int(minor)))


@dataclass
class Container:
    """One container of a box; it waits until it is started."""

    box: Box
    id: str
    bundle: Path
    log: Path
    launched: Launched
    execs: list[tuple[Path, Launched]] = field(default_factory=list)

    def start(self) -> Container:
        self.box.runtime.start(self.id, self.launched.process)
        return self

    def wait(self, seconds: float = _SECONDS) -> int | None:
        assert self.launched.monitor.wait(seconds), "the container did not end"
        reap(self.launched.monitor.pid)
        return conmon.exit_code(self.bundle)

    def kill(self, signum: int) -> bool:
        return self.box.runtime.kill(self.launched.process, signum)

    def entries(self) -> list[Entry]:
        return Parser().feed(self.log.read_bytes()) if self.log.exists() else []

    def text(self, stream: str = "stdout") -> str:
        """All it wrote to *stream*, from the log."""
        pieces = [
            entry.line if entry.partial else entry.line + b"\n"
            for entry in self.entries()
            if entry.stream == stream
        ]
        return b"".join(pieces).decode(errors="surrogateescape")

    def attach(self) -> socket.socket:
        client = conmon.connect(self.bundle)
        client.settimeout(_SECONDS)
        return client

    def exec(
        self,
        *argv: str,
        terminal: bool = False,
        stdin: bool = False,
        on_attachable: Callable[[Path], None] | None = None,
        **options: Any,
    ) -> tuple[Path, Launched]:
        number = len(self.execs)
        directory = self.bundle / f"exec{number}"
        request = request_of(argv, terminal=terminal, **options)
        launch = ExecLaunch(
            id=f"{self.id}-{number}",
            container=self.id,
            bundle=directory,
            process=process(request),
            terminal=terminal,
            stdin=stdin,
        )
        launched = conmon.launch_exec(self.box.runtime, launch, on_attachable)
        self.execs.append((directory, launched))
        return directory, launched

    def run(self, *argv: str, **options: Any) -> tuple[int | None, str]:
        """Execute and wait: the exit code, and what came on both streams."""
        clients: list[socket.socket] = []

        def keep(directory: Path) -> None:
            clients.append(conmon.connect(directory))

        directory, launched = self.exec(*argv, on_attachable=keep, **options)
        output = received(clients[0])
        assert launched.monitor.wait(_SECONDS)
        reap(launched.monitor.pid)
        return conmon.exit_code(directory), output.decode(errors="surrogateescape")


def request_of(argv: tuple[str, ...], **options: Any) -> ProcessRequest:
    environment = ("PATH=/bin", "HOME=/root", *options.pop("env", ()))
    return ProcessRequest(argv=argv, env=environment, **options)


def received(client: socket.socket, seconds: float = _SECONDS) -> bytes:
    """Everything until the other side ends, without the stream bytes."""
    client.settimeout(seconds)
    output = bytearray()
    with client:
        while packet := client.recv(conmon.MOST_PACKET):
            output += packet[1:]
    return bytes(output)


_PROCESS = {f for f in ProcessRequest.__dataclass_fields__ if f not in ("argv", "terminal")}
_LAUNCH = {"stdin", "stdin_once", "pass_fds"}


class Box:
    """A runtime of its own with its containers; leaving it kills and removes them all."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings = Settings(root=directory / "root", run_root=directory / "run")
        self.runtime = oci.choose(self.settings)
        self.rootfs = make_root(directory / "rootfs")
        self.containers: list[Container] = []
        self._count = 0

    def __enter__(self) -> Box:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for container in self.containers:
            self.end(container)
        self.runtime.hierarchies.group(self.runtime.parent).destroy()
        left = self.runtime.hierarchies.group(self.runtime.parent).directories()
        assert not left, f"control groups were left: {left}"

    def end(self, container: Container) -> None:
        """Kill and remove; the container's monitors end by themselves."""
        with suppress(OSError):
            self.runtime.resume(container.id)
        container.kill(signal.SIGKILL)
        self.runtime.delete(container.id)
        for _, launched in [(None, container.launched), *container.execs]:
            launched.monitor.wait(5) or launched.monitor.kill(signal.SIGKILL)
            launched.monitor.wait(5)
            reap(launched.monitor.pid)

    def request(self, *argv: str, **options: Any) -> SpecRequest:
        """A container as Docker would make it by default, with *options* changed."""
        mine: Mapping[str, Any] = {k: options.pop(k) for k in list(options) if k in _PROCESS}
        terminal = options.pop("terminal", False)
        first = request_of(argv, terminal=terminal, **mine)
        options.setdefault("hostname", "box")
        if not options.get("privileged"):
            options.setdefault("seccomp", seccomp.default(first.capabilities, host()))
        return SpecRequest(
            process=first,
            rootfs=str(options.pop("rootfs", self.rootfs)),
            cgroup_path=self.runtime.cgroup_path(f"c{self._count + 1}"),
            cgroup_layout=self.runtime.hierarchies.layout,
            **options,
        )

    def create(self, *argv: str, **options: Any) -> Container:
        launch = {k: options.pop(k) for k in list(options) if k in _LAUNCH}
        request = self.request(*argv, **options)
        self._count += 1
        own = f"c{self._count}"
        roots.prepare(request)
        directory = bundle.write(self.settings.run_root / own, spec(request))
        log = directory / "log"
        launched = conmon.launch(
            self.runtime,
            ContainerLaunch(
                id=own,
                bundle=directory,
                persist=directory,
                log=log,
                terminal=request.process.terminal,
                **launch,
            ),
        )
        container = Container(self, own, directory, log, launched)
        self.containers.append(container)
        return container

    def run(self, *argv: str, **options: Any) -> Container:
        return self.create(*argv, **options).start()

    def output(self, *argv: str, **options: Any) -> str:
        """What the command writes; it must succeed."""
        container = self.run(*argv, **options)
        code = container.wait()
        assert code == 0, (code, container.text(), container.text("stderr"))
        return container.text()


def until(condition: Callable[[], bool], seconds: float = _SECONDS) -> None:
    """Wait for *condition*, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
