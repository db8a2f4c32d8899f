"""Blocking work that takes as long as a client likes: in a thread of its own, as those that all share are few."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def aside(work: Callable[[], T]) -> "asyncio.Future[T]":
    """Begin it; the result is to come. Whoever gives up waiting has to make it end."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="aside")
    begun = asyncio.get_running_loop().run_in_executor(executor, work)
    executor.shutdown(wait=False)  # the thread ends with the work
    return begun
