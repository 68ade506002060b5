"""See whether a registry takes a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lading.registry import failures
from lading.registry.message import Request

if TYPE_CHECKING:
    from lading.registry.wire import Wire  # which needs urllib3, for those alone who dial


def log_in(wire: Wire) -> str:
    """The token to keep instead of the password, empty where there is none; Denied.

    Whether there is a login at all is the registry's to say: one that asks for none takes any.
    """
    response = wire.ask(Request("GET", f"{wire.base}/v2/"))
    if response.status != 200:
        raise failures.of_response(response)
    response.body.close()
    return wire.identity_token
