"""nftables by its own library: commands in, done in one transaction, or an error with its words.

The library is loaded when first needed, so that a host without it can still be asked
what it lacks.
"""

from __future__ import annotations

import ctypes
import json
import threading
from typing import Any

from lading.errors import Unavailable, Unsupported

_LIBRARY = "libnftables.so.1"
_JSON = 1 << 4  # NFT_CTX_OUTPUT_JSON
_TRIES = 20
# Another program changed the rules while ours were on their way: nothing happened, ask again.
_PASSING = (
    "Interrupted system call",
    "Resource temporarily unavailable",
    "Device or resource busy",
)


class NftUnsupported(Unsupported):
    """Raised where the host has no libnftables."""


class NftFailed(Unavailable):
    """Raised when the kernel refuses a transaction; nothing of it has happened then."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"nftables refused: {reason}")
        self.reason = reason


class Nft:
    """A conversation with the packet filter of the namespace it is opened in; thread safe."""

    def __init__(self) -> None:
        self._library = _load()
        self._lock = threading.Lock()
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def close(self) -> None:
        with self._lock:
            self._library.nft_ctx_free(self._context)
            self._context = ctypes.c_void_p()

    def run(self, commands: str) -> None:
        """Do all of *commands* (nft(8)'s language) or nothing; NftFailed."""
        self._ask(commands, 0)

    def listed(self, what: str) -> list[dict[str, Any]]:
        """What ``nft -j list WHAT`` says, one object for each thing; NftFailed."""
        answer = json.loads(self._ask(f"list {what}", _JSON) or '{"nftables": []}')
        return [thing for thing in answer["nftables"] if "metainfo" not in thing]

    def _ask(self, commands: str, output: int) -> str:
        with self._lock:
            self._library.nft_ctx_output_set_flags(self._context, output)
            for _ in range(_TRIES):
                failed = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
                said = self._library.nft_ctx_get_output_buffer(self._context)
                reason = self._library.nft_ctx_get_error_buffer(self._context).decode()
                if not failed:
                    return str(said.decode())
                if not any(word in reason for word in _PASSING):
                    break
        raise NftFailed(reason.strip().partition("\n")[0].removeprefix("Error: "))


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise NftUnsupported(
            f"{_LIBRARY} is missing: install the package libnftables1 (or nftables)"
        ) from None
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    library.nft_ctx_buffer_output.argtypes = [ctypes.c_void_p]
    library.nft_ctx_buffer_error.argtypes = [ctypes.c_void_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getter = getattr(library, name)
        getter.argtypes, getter.restype = [ctypes.c_void_p], ctypes.c_char_p
    return library
