"""Create a container from the flags of ``run`` and ``create``."""

from __future__ import annotations

import os
import sys

from lading.cli.client import Client
from lading.cli.faults import Fault, Misuse, Refused
from lading.cli.flags import Arguments
from lading.cli.options.body import create_body
from lading.cli.terminal import size

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
    if pull == "always":
        raise Misuse("--pull=always is not supported yet")
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
        answer = client.post(
            "/containers/create",
            body,
            name=arguments.text("name"),
            platform=arguments.text("platform"),
        )
        identity = str(answer["Id"])
        for warning in answer.get("Warnings") or ():
            print(f"WARNING: {warning}", file=sys.stderr)
        file.write(identity)
    except Refused as error:
        _say_missing(arguments, error)
        raise
    finally:
        file.close()
    return identity


def _say_missing(arguments: Arguments, error: Refused) -> None:
    """Where Docker would pull, say that the image is not here."""
    image = arguments.operands[0]
    missing = error.status == 404 and "image" in str(error).lower()
    if missing and arguments.text("pull") == "missing" and not arguments.on("quiet"):
        tagged = image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"
        print(f"Unable to find image '{tagged}' locally", file=sys.stderr)


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
