"""What is wrong with a system call filter."""


class FilterError(ValueError):
    """A filter that cannot be compiled; `str(error)` names the part."""
