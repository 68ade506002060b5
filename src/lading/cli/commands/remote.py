"""``lading manifest inspect`` and ``lading image ls-remote``: look at what a registry has.

They ask the registry themselves; no engine is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from lading.cli import sharing
from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.flags import SWITCH, Arguments, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lading.oci.descriptor import Descriptor
    from lading.registry.remotes import Remotes
    from lading.registry.sides import RegistrySource

INSECURE = Flag("insecure", SWITCH, "Allow communication with an insecure registry")


def remotes(domain: str, *, insecure: bool) -> Remotes:
    """The way to registries, as this host's files say; *domain* may be told to be insecure."""
    from lading.registry import hosts
    from lading.registry.remotes import Remotes

    named = (domain,) if insecure else ()
    return Remotes(lambda: hosts.load(insecure=named))


def inspect(arguments: Arguments, client: Client) -> int:
    """Print the manifest or index, as it is or with what names it."""
    name = sharing.complete(arguments.operands[-1])
    with _source(arguments, arguments.operands[-1]) as source:
        root = source.resolve()
        if arguments.on("verbose"):
            shown: Any = list(_verbose(source, root, name.repository))
            shown = shown[0] if len(shown) == 1 else shown
        else:
            shown = json.loads(_content(source, root))
    print(json.dumps(shown, indent="\t", ensure_ascii=False))
    return 0


def _verbose(source: RegistrySource, root: Descriptor, repository: str) -> Iterator[Any]:
    """Each manifest with its descriptor, an index's one by one."""
    from lading.oci import mediatypes
    from lading.oci.manifest import Index

    if root.media_type in mediatypes.INDEXES:
        for child, _ in Index.parse(_content(source, root)).manifests:
            yield from _verbose(source, child, repository)
        return
    yield {
        "Ref": f"{repository}@{root.digest}",
        "Descriptor": root.document(),
        "Manifest": json.loads(_content(source, root)),
    }


def _content(source: RegistrySource, descriptor: Descriptor) -> bytes:
    from lading.image import transfer

    return transfer.read(source, descriptor)


def ls_remote(arguments: Arguments, client: Client) -> int:
    """Print a repository's tags, or a registry's repositories."""
    text = arguments.operands[0]
    bare = text.rstrip("/")
    if "/" not in bare and (":" in bare or "." in bare or bare == "localhost"):
        return _catalog(arguments, bare)
    with _source(arguments, text) as source:
        for tag in source.tags():
            digest = source.find(tag) if arguments.on("digests") else None
            print(f"{digest}\t{tag}" if digest else tag)
    return 0


def _catalog(arguments: Arguments, domain: str) -> int:
    from lading.registry.remote import Repository

    way = remotes(domain, insecure=arguments.on("insecure"))
    with way.wire(domain, sharing.login(domain)) as wire:
        for name in Repository(wire, "").catalog():
            print(f"{domain}/{name}")
    return 0


@contextmanager
def _source(arguments: Arguments, text: str) -> Iterator[RegistrySource]:
    name = sharing.complete(text)
    way = remotes(name.domain, insecure=arguments.on("insecure"))
    with way.source(name, sharing.login(name.domain)) as source:
        yield source


COMMANDS = {
    "manifest inspect": Command(
        inspect,
        "[OPTIONS] MANIFEST",
        example="lading manifest inspect registry.example:5000/web:monday",
        flags=(
            INSECURE,
            Flag("verbose", SWITCH, "Output what names each manifest as well", short="v"),
        ),
        operands=(1, 1),
    ),
    "image ls-remote": Command(
        ls_remote,
        "[OPTIONS] REPOSITORY|REGISTRY",
        example="lading image ls-remote registry.example:5000/web",
        detail="Of a registry alone its repositories are listed, if it shows them.",
        flags=(
            Flag("digests", SWITCH, "Show what each tag names"),
            INSECURE,
        ),
        operands=(1, 1),
    ),
}
