"""The doorkeeper: the nursery forks one monitor per container, which owns its stdio, log, exit and execs."""
