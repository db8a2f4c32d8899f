"""What can go wrong between a client and a daemon.

```
ClientError
├── Unreachable         nobody answers at the address
│   └── Untrusted       somebody does, but one side does not believe the other who it is
├── Forbidden           the socket is there, but this user may not open it
├── TimedOut            the daemon was silent for longer than the caller wanted to wait
├── ProtocolError       what came back is not the Engine API
├── BadAddress          the address cannot be read
└── ApiError            the daemon's own answer: `status` and `message`
    ├── InvalidParameter 400, Unauthorized 401, Denied 403, NotFound 404, Conflict 409
    └── ServerError 500, Unsupported 501, Unavailable 503
```
"""

from __future__ import annotations


class ClientError(Exception):
    """Base of all errors of this room."""


class Unreachable(ClientError):
    """No daemon answers at `address`; `absent` tells that nothing listens there at all."""

    def __init__(self, address: str, reason: OSError | None = None, *, absent: bool = False) -> None:
        super().__init__(f"Cannot connect to the Wherry daemon at {address}. Is the wherry daemon running?")
        self.address = address
        self.reason = reason
        self.absent = absent


class Untrusted(Unreachable, ConnectionError):
    """TLS with the daemon at `address` failed; `why` is what was wrong."""

    def __init__(self, address: str, why: str) -> None:
        ClientError.__init__(self, f"error during connect: {address}: {why}")
        self.address = address
        self.reason = None
        self.absent = False


class Forbidden(ClientError):
    """The kernel does not let this user open the daemon's socket."""


class TimedOut(ClientError, TimeoutError):
    """Nothing came within the time that was given; whether the daemon did what was asked is not known."""


class ProtocolError(ClientError):
    """The other side does not speak HTTP or not the Engine API, or it closed in the middle of an answer."""


class BadAddress(ClientError):
    """The address of the daemon cannot be read."""


class ApiError(ClientError):
    """The daemon refused: `status` is HTTP's, `message` the daemon's words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"Error response from daemon: {message}")
        self.status = status
        self.message = message


class InvalidParameter(ApiError):
    """400: the request can never succeed as it stands."""


class Unauthorized(ApiError):
    """401: a registry or the daemon wants other credentials."""


class Denied(ApiError):
    """403: the thing exists, but this must not be done to it."""


class NotFound(ApiError):
    """404: no such container, image, network, volume or exec."""


class Conflict(ApiError):
    """409: the thing is in a state that does not allow this now."""


class ServerError(ApiError):
    """500: the daemon tried and failed."""


class Unsupported(ApiError):
    """501: the daemon knows the request but does not serve it."""


class Unavailable(ApiError):
    """503: something the daemon depends on does not answer now."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidParameter,
    401: Unauthorized,
    403: Denied,
    404: NotFound,
    409: Conflict,
    500: ServerError,
    501: Unsupported,
    503: Unavailable,
}


def api_error(status: int, message: str) -> ApiError:
    """The error of this status, or a plain `ApiError` for a status without a class."""
    return _BY_STATUS.get(status, ApiError)(status, message)
