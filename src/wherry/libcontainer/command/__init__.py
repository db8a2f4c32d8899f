"""The command line `wherry-runtime`: an OCI runtime, with runc's flags, over libcontainer."""
