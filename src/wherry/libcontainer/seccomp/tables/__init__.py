"""Numbers of system calls by name: one generated file for each architecture."""
