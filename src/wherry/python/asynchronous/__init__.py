"""The library for asyncio. Its twin `blocking` is made from it by scripts/twins: change this one, run that."""
