"""A registry in memory, and the way to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from image_box import Box
from lading.oci.reference import Reference
from lading.registry.credentials import ANONYMOUS, Credentials
from lading.registry.hosts import Registries, load
from lading.registry.patience import Patience
from lading.registry.remote import Repository
from lading.registry.remotes import Remotes
from lading.registry.sides import RegistrySource
from tiny_registry import Registry, served

QUICK = Patience(
    connect=2, read=2, tries=3, pause=0.001, longest_pause=0.05, slow_bytes=512, slow_seconds=0.2
)
Source = Callable[..., RegistrySource]


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry on loopback, in plain HTTP."""
    with served() as registry:
        yield registry


@pytest.fixture
def configured(tmp_path: Path) -> Registries:
    """Nothing is configured, whatever this host's own files say."""
    return plain(tmp_path)


def plain(folder: Path, insecure: Sequence[str] = (), mirrors: Sequence[str] = ()) -> Registries:
    nowhere = folder / "nowhere"
    return load(
        insecure=insecure,
        mirrors=mirrors,
        daemon_files=(nowhere,),
        registries_file=nowhere,
        certificate_folders=(folder / "certs.d",),
    )


@pytest.fixture
def source(registry: Registry, configured: Registries) -> Iterator[Source]:
    """``source("name:tag")`` on the registry; a full name may name another."""
    with ExitStack() as stack:

        def make(name: str, credentials: Credentials = ANONYMOUS) -> RegistrySource:
            whole = name if "//" in name else f"{registry.host}/{name}"
            remotes = Remotes(lambda: configured, QUICK)
            reference = Reference.parse(whole.removeprefix("//"))
            return stack.enter_context(remotes.source(reference, credentials))

        yield make


@pytest.fixture
def repository(registry: Registry, configured: Registries) -> Iterator[Repository]:
    """The repository some/image for writing."""
    reference = Reference.parse(f"{registry.host}/some/image")
    with Remotes(lambda: configured, QUICK).repository(reference) as found:
        yield found


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "root")
    yield box
    box.close()
