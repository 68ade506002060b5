"""``lading build``: an image from a Dockerfile and the files around it."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from lading.cli import build_output, build_view, sharing
from lading.cli.build_output import Output
from lading.cli.client import Client, Query, documents
from lading.cli.command import Command
from lading.cli.faults import Fault
from lading.cli.flags import LIST, SWITCH, TEXT, Arguments, Flag, Kind
from lading.cli.terminal import STDERR, is_terminal
from lading.cli.units import read_size
from lading.cli.upload import Body, posted

TYPE_CHECKING = False  # `typing` costs 4 ms of each command's start
if TYPE_CHECKING:
    from typing import Any

    from lading.cli.build_context import Sent

_SIZE = Kind("bytes", read_size)
_DETAIL = """
The context is a directory, '-' for a tar on standard input, or '-' for a Dockerfile alone.
.dockerignore (or Dockerfile.dockerignore) says what of a directory is not sent.  Secrets
reach only the RUN that mounts them, in memory: they are in no layer, history, cache or log.
"""


def run(arguments: Arguments, client: Client) -> int:
    """Build, and say what came of it: the steps on standard error, with -q the ID on output."""
    from lading.cli.build_context import gathered  # what reads tars is slow to load

    outputs = [Output.parse(text) for text in arguments.many("output")]
    sent = gathered(arguments.operands[0], arguments.text("file"))
    if arguments.on("check"):
        return _check(arguments, client, sent)
    quiet = arguments.on("quiet")
    terminal = is_terminal(STDERR)
    view = build_view.chosen(arguments.text("progress"), quiet=quiet, terminal=terminal)
    with view:
        last = _built(arguments, client, sent, view.show)
    image = last["aux"]["ID"]
    for output in outputs:
        build_output.write(client, image, output, arguments.many("tag"))
    _tell(arguments, view, last)
    if outputs and not arguments.many("tag"):
        build_output.forget(client, image)
    return 0


def _tell(arguments: Arguments, view: build_view.Plain, last: dict[str, Any]) -> None:
    image = last["aux"]["ID"]
    if arguments.text("iidfile"):
        Path(arguments.text("iidfile")).write_text(image)
    if arguments.on("quiet"):
        print(image)
        return
    names = " ".join(last.get("names") or ())
    sys.stderr.write("\n" + build_view.table(view.rows))
    for warning in last.get("warnings") or ():
        sys.stderr.write(f"warning: {warning}\n")
    sys.stderr.write(f"\nBuilt {image}" + (f" as {names}\n" if names else "\n"))


def _built(
    arguments: Arguments, client: Client, sent: Sent, show: Callable[[Any], None]
) -> dict[str, Any]:
    """The engine's last line; Fault with the failed command's exit code."""
    query = _query(arguments, sent, _parcel(arguments, client, sent))
    body = sent.body or Body(lambda write: None, length=0)
    last: dict[str, Any] = {}
    with posted(
        *(client, "/lading/v1/build", query, body),
        on_sent=lambda count: None,
        headers=_logins(sent.text),
    ) as response:
        for line in documents(response):
            if "error" in line:
                detail = line.get("errorDetail") or {}
                code = detail.get("code", 1)
                raise Fault(str(line["error"]), code if 0 < code < 126 else 1)
            show(line)
            last = line
    if "aux" not in last:
        raise Fault("the engine broke off the build")
    return last


def _check(arguments: Arguments, client: Client, sent: Sent) -> int:
    """Say what is dubious in the Dockerfile, without building it."""
    query = _query(arguments, sent, _parcel(arguments, client, sent))
    body = sent.body or Body(lambda write: None, length=0)
    with posted(
        client, "/lading/v1/build/check", query, body, on_sent=lambda count: None
    ) as response:
        found = json.loads(response.read())
    for each in found:
        print(f"{each['File']}:{each['Line']}: {each['Rule']}: {each['Message']}")
    print(f"Check complete, {len(found)} warnings have been found!" if found else
          "Check complete, no warnings found.")  # fmt: skip
    return 1 if found else 0


def _query(arguments: Arguments, sent: Sent, parcel: str) -> Query:
    args = dict(_build_arg(text) for text in arguments.many("build-arg"))
    labels = dict(text.partition("=")[::2] for text in arguments.many("label"))
    return {
        "t": arguments.many("tag"),
        "dockerfile": sent.dockerfile,
        "filtered": sent.filtered,
        "nocontext": sent.body is None,
        "buildargs": {name: value for name, value in args.items() if value is not None},
        "labels": labels,
        "target": arguments.text("target"),
        "nocache": arguments.on("no-cache"),
        "pull": arguments.on("pull"),
        "squash": arguments.on("squash"),
        "networkmode": arguments.text("network"),
        "extrahosts": arguments.many("add-host"),
        "platform": arguments.text("platform"),
        "memory": arguments.value("memory"),
        "memswap": arguments.value("memory-swap"),
        "cpushares": arguments.text("cpu-shares"),
        "cpusetcpus": arguments.text("cpuset-cpus"),
        "shmsize": arguments.value("shm-size"),
        "parcel": parcel,
    }


def _build_arg(text: str) -> tuple[str, str | None]:
    """``NAME=value``, or the value that NAME has here; None where it has none."""
    name, equals, value = text.partition("=")
    return name, value if equals else os.environ.get(name)


def _parcel(arguments: Arguments, client: Client, sent: Sent) -> str:
    """Hand in what has no place in a request's line; the word that it is known by."""
    secrets = dict(_secret(text) for text in arguments.many("secret"))
    if sent.text is None and not secrets:
        return ""
    parcel: dict[str, Any] = {"Secrets": {k: _base64(v) for k, v in secrets.items()}}
    if sent.text is not None:
        parcel["Dockerfile"] = _base64(sent.text)
    return str(client.post("/lading/v1/build/parcel", parcel)["Word"])


def _secret(text: str) -> tuple[str, bytes]:
    """``id=ID[,src=FILE|,env=NAME]``: its ID and its bytes; Fault."""
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    kind = fields.pop("type", "")
    identity = fields.pop("id", "")
    source = fields.pop("src", fields.pop("source", ""))
    variable = fields.pop("env", "")
    if fields or not identity or kind not in ("", "file", "env") or (source and variable):
        raise Fault(f"invalid secret {text!r}: expected id=ID[,src=FILE] or id=ID,env=NAME")
    if not source and not variable and kind == "env":
        variable = identity
    if kind == "env" and source:
        variable, source = source, ""
    if variable or (not source and identity in os.environ):
        value = os.environb.get(os.fsencode(variable or identity))
        if value is None:
            raise Fault(f"secret {identity}: there is no variable {variable}")
        return identity, value
    try:
        return identity, Path(source or identity).read_bytes()
    except OSError as error:
        raise Fault(f"secret {identity}: {error.strerror}: {source or identity}") from None


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _logins(text: bytes | None) -> dict[str, str]:
    """The user's logins for base images, by the registries' names in Docker's file.

    Asking for one may take a program its time: only those are asked for that *text*, the
    Dockerfile, could mean.
    """
    from lading.registry.credentials import HUB, entry

    keyring, entries = sharing.keyring(), {}
    for name in keyring.registries():
        if name == HUB or text is None or os.fsencode(name) in text or b"$" in text:
            found = keyring.get("docker.io" if name == HUB else name)
            if found:
                entries[name] = entry(found, name)
    if not entries:
        return {}
    return {"X-Registry-Config": base64.urlsafe_b64encode(json.dumps(entries).encode()).decode()}


_FLAGS = (
    Flag("add-host", LIST, "Add a custom host-to-IP mapping (host:ip)"),
    Flag("build-arg", LIST, "Set build-time variables"),
    Flag("cache-from", LIST, "External cache sources", refused=True),
    Flag("cache-to", LIST, "Cache export destinations", refused=True),
    Flag("check", SWITCH, "Warn of what is dubious in the Dockerfile, and build nothing"),
    Flag("cpu-shares", TEXT, "CPU shares of commands (relative weight)"),
    Flag("cpuset-cpus", TEXT, "CPUs in which to allow execution (0-3, 0,1)"),
    Flag("file", TEXT, "Name of the Dockerfile (default PATH/Dockerfile), - for stdin", short="f",
         values="files"),
    Flag("force-rm", SWITCH, "Always remove what a build leaves (it always does)", hidden=True),
    Flag("iidfile", TEXT, "Write the image ID to a file", values="files"),
    Flag("label", LIST, "Set metadata for an image"),
    Flag("load", SWITCH, "Keep the image here (it always is)", hidden=True),
    Flag("memory", _SIZE, "Memory limit of commands", short="m"),
    Flag("memory-swap", _SIZE, "Swap limit equal to memory plus swap"),
    Flag("network", TEXT, "Set the networking mode for the RUN instructions (default, none, host)"),
    Flag("no-cache", SWITCH, "Do not use cache when building the image"),
    Flag("output", LIST, "Output destination (type=tar|local|oci|docker,dest=PATH)", short="o"),
    Flag("platform", TEXT, "Set the platform of the image (os/arch[/variant])"),
    Flag("progress", TEXT, "Type of progress output (auto, plain, tty, quiet)", default="auto",
         values=("auto", "plain", "tty", "quiet")),
    Flag("pull", SWITCH, "Always attempt to pull newer versions of base images"),
    Flag("push", SWITCH, "Push the image when it is built", refused=True),
    Flag("quiet", SWITCH, "Suppress the build output and print the image ID", short="q"),
    Flag("rm", SWITCH, "Remove intermediate containers (it always does)", hidden=True),
    Flag("secret", LIST, "Secret for RUN --mount=type=secret (id=ID[,src=FILE|,env=NAME])"),
    Flag("shm-size", _SIZE, "Size of /dev/shm"),
    Flag("squash", SWITCH, "Squash newly built layers into a single new layer"),
    Flag("ssh", LIST, "SSH agent socket or keys for RUN --mount=type=ssh", refused=True),
    Flag("tag", LIST, "Name and optionally a tag (name:tag); may be repeated", short="t"),
    Flag("target", TEXT, "Set the target build stage to build"),
)  # fmt: skip

COMMANDS = {
    "build": Command(
        run,
        "[OPTIONS] PATH|-",
        example="lading build -t web:1 .\nlading build -f deploy/Dockerfile --target test -t t .",
        detail=_DETAIL.strip(),
        flags=_FLAGS,
        operands=(1, 1),
        complete="files",
    )
}
