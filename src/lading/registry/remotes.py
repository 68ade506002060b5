"""Registries by the names in references: how to get at a repository, for reading or writing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from lading.oci.reference import Reference
from lading.registry.credentials import ANONYMOUS, Credentials
from lading.registry.hosts import Endpoint, Registries
from lading.registry.patience import Patience, Told, unheard
from lading.registry.remote import Repository
from lading.registry.sides import RegistrySource

if TYPE_CHECKING:
    from lading.registry.wire import Wire  # which needs urllib3, for those alone who dial


class Remotes:
    """The way to every registry; *configured* is asked anew each time, so files may change."""

    def __init__(
        self, configured: Callable[[], Registries], patience: Patience | None = None
    ) -> None:
        self._configured, self._patience = configured, patience or Patience()

    @contextmanager
    def source(
        self,
        reference: Reference,
        credentials: Credentials = ANONYMOUS,
        *,
        on_wait: Told = unheard,
    ) -> Iterator[RegistrySource]:
        """Where *reference* is pulled from: its mirrors, then the registry."""
        registries = self._configured()
        with ExitStack() as stack:
            found = []
            for endpoint in registries.endpoints(reference.domain):
                login = ANONYMOUS if endpoint.mirror else credentials
                wire = self._wire(registries, endpoint, login, on_wait)
                stack.callback(wire.close)
                found.append(Repository(wire, reference.path))
            yield RegistrySource(found, reference)

    @contextmanager
    def repository(
        self,
        reference: Reference,
        credentials: Credentials = ANONYMOUS,
        *,
        on_wait: Told = unheard,
    ) -> Iterator[Repository]:
        """The registry's own repository, for writing."""
        with self.wire(reference.domain, credentials, on_wait=on_wait) as wire:
            yield Repository(wire, reference.path)

    @contextmanager
    def wire(
        self, domain: str, credentials: Credentials = ANONYMOUS, *, on_wait: Told = unheard
    ) -> Iterator[Wire]:
        """The registry itself."""
        registries = self._configured()
        wire = self._wire(registries, registries.home(domain), credentials, on_wait)
        try:
            yield wire
        finally:
            wire.close()

    def _wire(
        self, registries: Registries, endpoint: Endpoint, credentials: Credentials, on_wait: Told
    ) -> Wire:
        from lading.registry.wire import Wire

        return Wire(
            endpoint,
            registries,
            credentials=credentials,
            patience=self._patience,
            on_wait=on_wait,
        )
