"""TLS on a socket that can be closed in one direction, which `ssl.SSLSocket` cannot do."""

from __future__ import annotations

import ssl
from socket import MSG_DONTWAIT, SHUT_WR, socket

from wherry.client.errors import BadAddress, Untrusted
from wherry.client.sockets import hang_up, limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.client.address import Tls

PIECE = 65536


def context(tls: Tls | None) -> ssl.SSLContext:
    """What to trust and what to show. Raises BadAddress for certificate files that cannot be used."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if tls is not None and not tls.verify:
            made.check_hostname = False
            made.verify_mode = ssl.CERT_NONE
        elif tls is not None and tls.ca:
            made.load_verify_locations(tls.ca)
        else:
            made.load_default_certs()
        if tls is not None and tls.certificate:
            made.load_cert_chain(tls.certificate, tls.key or None)
    except (OSError, ssl.SSLError) as error:
        raise BadAddress(f"unable to resolve the certificates for the daemon: {error}") from error
    return made


class TlsWire:
    """`Wire` for TLS: the same verbs; records are made and read in memory, the socket sees only ciphertext."""

    __slots__ = ("_early", "_ended", "_host", "_incoming", "_object", "_outgoing", "_socket", "_unsent")

    def __init__(self, plain: socket, made: ssl.SSLContext, host: str) -> None:
        self._socket = plain
        self._host = host
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = made.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._unsent = b""
        self._early: list[bytes] = []
        self._ended = False
        try:
            self._shake_hands()
        except BaseException:
            plain.close()
            raise

    def _shake_hands(self) -> None:
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed(self._socket.recv(PIECE))
            except ssl.SSLError as error:
                raise Untrusted(self._host, _why(error)) from error
            else:
                return self._flush()

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._socket.fileno()

    def recv(self) -> bytes:
        """What came next, b"" at the end; waits for it."""
        while True:
            data = self._read()
            if data is not None:
                return data
            try:
                self._feed(self._socket.recv(PIECE))
            except BlockingIOError:
                raise TimeoutError("timed out") from None

    def limit(self, seconds: float | None) -> None:
        """How long `recv` and `sendall` wait, None for ever; then they raise TimeoutError."""
        limit(self._socket, seconds)

    def hang_up(self) -> None:
        """End both directions, also for a thread that waits in `recv`."""
        hang_up(self._socket)

    def recv_some(self) -> bytes | None:
        """What has come, b"" at the end, None when nothing whole has come yet."""
        data = self._read()
        if data is not None:
            return data
        try:
            self._feed(self._socket.recv(PIECE, MSG_DONTWAIT))
        except BlockingIOError:
            return None
        return self._read()

    def sendall(self, data: bytes) -> None:
        """Send all of `data`, waiting as long as it takes."""
        view = memoryview(data)
        for start in range(0, len(view), PIECE):
            self._object.write(view[start : start + PIECE])
            self._flush()

    def send_some(self, data: bytes) -> int:
        """Take one piece when the piece before is out; the number of bytes taken."""
        if not self.flushed():
            return 0
        taken = self._object.write(data[:PIECE])
        self.flushed()
        return taken

    def flushed(self) -> bool:
        """Send what is held back, as far as it goes without waiting; True when nothing is left."""
        self._unsent += self._outgoing.read()
        while self._unsent:
            try:
                self._unsent = self._unsent[self._socket.send(self._unsent, MSG_DONTWAIT) :]
            except BlockingIOError:
                return False
        return True

    def half_close(self) -> None:
        """Send close_notify and the end of the stream; go on reading."""
        # What has come must be out of its way: SSL_shutdown(3) throws records away while it looks for an answer.
        while data := self._decrypted():
            self._early.append(data)
        try:
            self._object.unwrap()
        except ssl.SSLError:
            pass  # wants the other side's close_notify: it comes when that side has said all
        try:
            self._flush()
            self._socket.shutdown(SHUT_WR)
        except OSError:
            pass  # the other side has left already, and what it sent is still to be read

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()

    def _read(self) -> bytes | None:
        return self._early.pop(0) if self._early else self._decrypted()

    def _decrypted(self) -> bytes | None:
        try:
            return self._object.read(PIECE)
        except ssl.SSLWantReadError:
            return b"" if self._ended else None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError as error:
            raise Untrusted(self._host, _why(error)) from error

    def _feed(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._ended = True
            self._incoming.write_eof()

    def _flush(self) -> None:
        pending, self._unsent = self._unsent + self._outgoing.read(), b""
        try:
            self._socket.sendall(pending)
        except BlockingIOError:
            raise TimeoutError("timed out") from None


def _why(error: ssl.SSLError) -> str:
    """In words that say no more of OpenSSL than must be."""
    words = (error.reason or str(error)).replace("_", " ").lower()
    return f"{words}: {error.verify_message}" if isinstance(error, ssl.SSLCertVerificationError) else f"tls: {words}"
