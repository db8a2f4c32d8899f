"""uname(2)'s settable names: sethostname(2), setdomainname(2)."""

import ctypes

from wherry.linux.libc import checked, declare

_sethostname = declare("sethostname", ctypes.c_char_p, ctypes.c_size_t)
_setdomainname = declare("setdomainname", ctypes.c_char_p, ctypes.c_size_t)


def set_hostname(name: str) -> None:
    """The UTS namespace's host name. Raises OSError."""
    data = name.encode()
    checked(_sethostname(data, len(data)), "sethostname", name)


def set_domainname(name: str) -> None:
    """The UTS namespace's NIS domain name. Raises OSError."""
    data = name.encode()
    checked(_setdomainname(data, len(data)), "setdomainname", name)
