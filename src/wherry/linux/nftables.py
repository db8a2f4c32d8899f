"""libnftables(3) in this process: the ruleset language, one transaction for each call, no subprocess."""

import ctypes
import ctypes.util
import json
from typing import Any

_NFT_CTX_OUTPUT_JSON = 1 << 4
_NFT_CTX_OUTPUT_HANDLE = 1 << 3
_NFT_CTX_OUTPUT_NUMERIC_PROTO = 1 << 7
_LIBRARY = "libnftables.so.1"


class Nftables:
    """A context of libnftables. Belongs to the network namespace it is opened in. Not for two threads at once."""

    def __init__(self) -> None:
        """Load the library (Debian's package libnftables1). Raises OSError."""
        self._library = _load()
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        if not self._context:
            raise OSError("nft_ctx_new: out of memory")
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def close(self) -> None:
        """Free the context. Safe to repeat."""
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = ctypes.c_void_p()

    def run(self, commands: str) -> str:
        """Run commands of nft(8) as one transaction: all or nothing. Returns what they print. Raises OSError."""
        result = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        words: bytes = self._library.nft_ctx_get_error_buffer(self._context)
        printed: bytes = self._library.nft_ctx_get_output_buffer(self._context)
        if result != 0:
            raise OSError(f"nft: {words.decode(errors='replace').strip()}")
        return printed.decode(errors="replace")

    def query(self, command: str) -> list[dict[str, Any]]:
        """The objects that a list command shows (libnftables-json(5)). Raises OSError, for a missing table too."""
        self._library.nft_ctx_output_set_flags(self._context, _NFT_CTX_OUTPUT_JSON | _NFT_CTX_OUTPUT_HANDLE)
        try:
            found: list[dict[str, Any]] = json.loads(self.run(command))["nftables"]
        finally:
            self._library.nft_ctx_output_set_flags(self._context, 0)
        return found


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(_LIBRARY)
    context = ctypes.c_void_p
    library.nft_ctx_new.argtypes = (ctypes.c_uint32,)
    library.nft_ctx_new.restype = context
    library.nft_ctx_free.argtypes = (context,)
    library.nft_ctx_free.restype = None
    library.nft_ctx_output_set_flags.argtypes = (context, ctypes.c_uint)
    library.nft_ctx_output_set_flags.restype = None
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        library[name].argtypes = (context,)
        getattr(library, name).argtypes = (context,)
    for name in ("nft_ctx_get_error_buffer", "nft_ctx_get_output_buffer"):
        getattr(library, name).argtypes = (context,)
        getattr(library, name).restype = ctypes.c_char_p
    library.nft_run_cmd_from_buffer.argtypes = (context, ctypes.c_char_p)
    return library
