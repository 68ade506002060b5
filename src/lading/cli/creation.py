"""Create a container from the flags of ``run`` and ``create``."""

from __future__ import annotations

import os
import sys

from lading.cli import sharing
from lading.cli.bars import Bars
from lading.cli.client import Client
from lading.cli.faults import Fault, Misuse, Refused
from lading.cli.flags import Arguments
from lading.cli.options.body import create_body
from lading.cli.terminal import STDERR, is_terminal, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Body = dict[str, Any]

_PULLS = ("always", "missing", "never", "")


def prepared(arguments: Arguments) -> Body:
    """The request's body; Misuse where the flags are wrong."""
    pull = arguments.text("pull")
    if pull not in _PULLS:
        wanted = 'must be one of "always", "missing" or "never"'
        raise Misuse(f"invalid pull option: '{pull}': {wanted}")
    if not arguments.operands[0]:
        raise Misuse("invalid reference format")
    try:
        body = create_body(arguments)
    except ValueError as error:
        raise Misuse(str(error)) from None
    except Fault as fault:
        raise Misuse(str(fault)) from None
    if body.get("Tty"):
        body.setdefault("HostConfig", {})["ConsoleSize"] = list(size())
    return body


def create(client: Client, arguments: Arguments, body: Body) -> str:
    """Create the container; its ID.  Fault where the engine refuses."""
    file = _IdFile(arguments.text("cidfile"))
    try:
        answer = _created(client, arguments, body)
        identity = str(answer["Id"])
        for warning in answer.get("Warnings") or ():
            print(f"WARNING: {warning}", file=sys.stderr)
        file.write(identity)
    finally:
        file.close()
    return identity


def _created(client: Client, arguments: Arguments, body: Body) -> Any:
    """The engine's answer; the image is pulled before, as ``--pull`` says."""
    policy = arguments.text("pull")
    if policy == "always":
        _pull(client, arguments)
    try:
        return _post(client, arguments, body)
    except Refused as error:
        missing = error.status == 404 and "image" in str(error).lower()
        if not missing or policy not in ("missing", ""):
            raise
    if not arguments.on("quiet"):
        name = arguments.operands[0]
        tagged = name if sharing.has_tag(name) else f"{name}:latest"
        sharing.remark(f"Unable to find image '{tagged}' locally")
    _pull(client, arguments)
    return _post(client, arguments, body)


def _post(client: Client, arguments: Arguments, body: Body) -> Any:
    return client.post(
        "/containers/create",
        body,
        name=arguments.text("name"),
        platform=arguments.text("platform"),
    )


def _pull(client: Client, arguments: Arguments) -> None:
    """Pull the image; what is told goes to stderr, for stdout is the container's."""
    name = sharing.complete(arguments.operands[0])
    ending = str(name.digest) if name.digest is not None else name.tag
    query = {"tag": ending, "platform": arguments.text("platform")}
    quiet = arguments.on("quiet")
    with Bars(wanted=not quiet and is_terminal(STDERR), stderr=True) as bars:
        sharing.pull(client, name, query, bars=bars, quiet=quiet)


class _IdFile:
    """``--cidfile``: made before the container, and gone again when that fails."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        if not path:
            return
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o666)
        except FileExistsError:
            advice = f"make sure the other container isn't running or delete {path}"
            raise Fault(f"container ID file found, {advice}") from None
        except OSError as error:
            reason = f"{path}: {error.strerror}"
            raise Fault(f"failed to create the container ID file: {reason}") from None

    def write(self, identity: str) -> None:
        if self._descriptor >= 0:
            os.write(self._descriptor, identity.encode())
            os.close(self._descriptor)
            self._descriptor = -1

    def close(self) -> None:
        if self._descriptor >= 0:
            from pathlib import Path

            os.close(self._descriptor)
            Path(self._path).unlink(missing_ok=True)
