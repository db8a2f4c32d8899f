"""A client of the Engine API: requests as values, and what sends them.

`containers`, `images`, `networks`, `volumes`, `system` and `execs` build `Call` values and touch nothing.
`Client` sends them over a blocking socket, its twin `aio.AsyncClient` the very same calls in an asyncio loop.

A command line starts often and lives shortly, so this room imports little: no `typing`, `re`, `enum`,
`dataclasses` or `socket` on the usual path (each costs 1 to 7 ms), hence its hand-written classes.
"""
