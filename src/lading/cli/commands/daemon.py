"""``lading daemon``: what its flags mean.  Running it is the caller's job."""

from __future__ import annotations

from pathlib import Path

from lading.cli.command import Command
from lading.cli.faults import Misuse
from lading.cli.flags import LIST, NUMBER, SWITCH, TEXT, Arguments, Flag
from lading.cli.options.limits import BYTES
from lading.settings import DEFAULT_HOST, DEFAULT_ROOT, DEFAULT_RUN_ROOT, Settings

_SCHEME = "unix://"
_LEAST_LOG = 64 * 1024  # less would rotate at every few lines
_DEFAULTS = Settings()


def settings(arguments: Arguments, host: str = "", *, debug: bool = False) -> Settings:
    """What the daemon is to be; *host* stood before the command.  Misuse for bad values.

    A root of one's own gets a run root and a socket of its own, unless they are named.
    """
    root = _directory(arguments, "root", DEFAULT_ROOT)
    run_root = _directory(arguments, "run-root", _run_root(root))
    if root.is_relative_to(run_root) or run_root.is_relative_to(root):
        raise Misuse(f"--root and --run-root must lie apart, not {root} and {run_root}")
    return Settings(
        root=root,
        run_root=run_root,
        host=_host(arguments.text("host") or host or _default_host(run_root)),
        snapshotter=_snapshotter(arguments.text("snapshotter")),
        runtime=_runtime(arguments.text("runtime")),
        subnet=_subnet(arguments),
        log_max_bytes=_at_least(arguments, "log-max-size", _LEAST_LOG),
        log_max_files=_at_least(arguments, "log-max-files", 1),
        insecure_registries=tuple(arguments.many("insecure-registry")),
        registry_mirrors=_mirrors(arguments.many("registry-mirror")),
        debug=debug or arguments.on("debug"),
    )


def _directory(arguments: Arguments, name: str, default: Path) -> Path:
    if not arguments.given(name):
        return default
    text = arguments.text(name)
    path = Path(text).resolve()
    if not text or not text.isprintable() or path == Path("/"):
        raise Misuse(f"invalid --{name} {text!r}: it must be a directory of its own")
    return path


def _run_root(root: Path) -> Path:
    if root == DEFAULT_ROOT:
        return DEFAULT_RUN_ROOT
    return DEFAULT_RUN_ROOT.with_name(f"lading-{Settings(root=root).instance}")


def _default_host(run_root: Path) -> str:
    return DEFAULT_HOST if run_root == DEFAULT_RUN_ROOT else f"{_SCHEME}{run_root}/lading.sock"


def _host(host: str) -> str:
    if not host.startswith(_SCHEME):
        raise Misuse(f"invalid --host {host!r}: only unix:// sockets are supported")
    if not host.removeprefix(_SCHEME).startswith("/"):
        raise Misuse(f"invalid --host {host!r}: the socket's path must be absolute")
    return host


def _snapshotter(name: str) -> str | None:
    from lading.snapshot.choose import DRIVERS

    if name and name not in DRIVERS:
        raise Misuse(f"unknown snapshotter {name!r}: choose one of {', '.join(DRIVERS)}")
    return name or None


def _runtime(name: str) -> str | None:
    import shutil

    if name and shutil.which(name) is None:
        raise Misuse(f"runtime {name!r} is not an executable file, nor in the PATH")
    return name or None


def _subnet(arguments: Arguments) -> str | None:
    """From ``--subnet``, or from Docker's ``--bip``, which names the bridge's own address."""
    from lading.network.subnets import InvalidSubnet, parse_subnet

    if arguments.given("subnet") and arguments.given("bip"):
        raise Misuse("conflicting options: --subnet and --bip")
    text = _subnet_of(arguments.text("bip")) if arguments.given("bip") else arguments.text("subnet")
    try:
        return str(parse_subnet(text)) if text else None
    except InvalidSubnet as error:
        raise Misuse(str(error)) from None


def _subnet_of(address: str) -> str:
    from ipaddress import IPv4Interface

    from lading.network.subnets import gateway_of

    try:
        found = IPv4Interface(address)
    except ValueError:
        raise Misuse(f"invalid --bip {address!r}: it must be like 10.5.0.1/24") from None
    gateway = gateway_of(found.network)
    if found.ip != gateway:
        raise Misuse(f"invalid --bip {address!r}: the bridge of this subnet has {gateway}")
    return str(found.network)


def _mirrors(urls: list[str]) -> tuple[str, ...]:
    from lading.registry.hosts import InvalidMirror, load

    try:
        load(mirrors=urls, daemon_files=())
    except InvalidMirror as error:
        raise Misuse(str(error)) from None
    return tuple(urls)


def _at_least(arguments: Arguments, name: str, least: int) -> int:
    number = arguments.number(name)
    if number < least:
        raise Misuse(f"invalid --{name}: it must be at least {least}")
    return number


COMMANDS = {
    "daemon": Command(
        None,
        "[OPTIONS]",
        example=(
            "lading daemon\n"
            "lading daemon --root /srv/lading --run-root /run/lading-two"
            " --host unix:///run/lading-two.sock"
        ),
        detail=(
            "It needs root, and stays in the foreground; what it writes goes to stderr.  Stopping\n"
            "or killing it leaves the containers running: started again, it finds them."
        ),
        flags=(
            Flag("bip", TEXT, "Address of the default bridge, with its subnet (10.5.0.1/24)"),
            Flag("debug", SWITCH, "Log more", short="D"),
            Flag("host", TEXT, "Socket to listen on (unix://PATH)", short="H"),
            Flag("insecure-registry", LIST,
                 "Registry (host:port, or a network) that needs no verified TLS"),
            Flag("log-max-files", NUMBER, "Files that a container's log may have",
                 default=_DEFAULTS.log_max_files),
            Flag("log-max-size", BYTES, "Bytes after which a container's log is rotated",
                 default=_DEFAULTS.log_max_bytes),
            Flag("registry-mirror", LIST, "URL of a mirror of docker.io, asked first"),
            Flag("root", TEXT, "Directory of images, containers and volumes", values="files",
                 default=str(DEFAULT_ROOT)),
            Flag("run-root", TEXT, "Directory of what ends with a reboot", values="files"),
            Flag("runtime", TEXT, "OCI runtime to use (default: the one that works here)",
                 values=("crun", "runc")),
            Flag("snapshotter", TEXT, "How layers are mounted (default: the best that works here)",
                 values=("erofs", "overlay", "copying")),
            Flag("subnet", TEXT, "Subnet of the default bridge (default: a free one)"),
        ),
    )
}  # fmt: skip
