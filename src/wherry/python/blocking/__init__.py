"""The library without a loop: made by scripts/twins from `asynchronous`. Change that one, run this."""
