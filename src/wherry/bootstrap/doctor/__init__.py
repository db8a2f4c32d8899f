"""What this host can do, tried without a daemon: `wherry doctor`."""
