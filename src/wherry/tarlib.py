"""The standard library's tarfile, with the filters of PEP 706 also where Python has none yet (3.11.2 of Debian 12)."""

import tarfile

if not hasattr(tarfile, "data_filter"):
    from backports import tarfile  # type: ignore[no-redef,import-not-found,import-untyped,unused-ignore]

__all__ = ["tarfile"]
