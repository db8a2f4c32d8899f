"""The one tree of errors that the engine raises; each class knows its HTTP status.

```
EngineError 500
├── InvalidParameter 400
├── Unauthorized 401
├── Forbidden 403
├── NotFound 404
├── Conflict 409
├── NotModified 304     an answer rather than a failure: nothing had to be done
├── Unsupported 501     the request is right, but Wherry does not serve it yet; names what
└── Unavailable 503
```
Wording is part of the contract: clients of dockerd match on it (moby `errdefs`).
"""

from typing import ClassVar


class EngineError(Exception):
    """Something the engine could not do; `str(error)` is what the client reads."""

    status: ClassVar[int] = 500


class InvalidParameter(EngineError):
    """The request can never succeed as it stands."""

    status = 400


class Unauthorized(EngineError):
    """A registry or the daemon wants other credentials."""

    status = 401


class Forbidden(EngineError):
    """The thing exists, but this must not be done to it."""

    status = 403


class NotFound(EngineError):
    """No such container, image, network, volume, exec."""

    status = 404


class Conflict(EngineError):
    """The thing is in a state that does not allow this now."""

    status = 409


class NotModified(EngineError):
    """The thing is already as asked for, such as starting a running container."""

    status = 304


class Unsupported(EngineError):
    """A known option that Wherry does not serve yet; the message names it."""

    status = 501


class Unavailable(EngineError):
    """Something this depends on, such as the storage or a registry, does not answer now."""

    status = 503
