"""Pairs of measurements: Wherry's and the real dockerd's, in turn, in one run, as medians and ratios."""
