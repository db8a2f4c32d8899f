"""The kernel, thinly: one file per man-page family of system calls, no policy."""
