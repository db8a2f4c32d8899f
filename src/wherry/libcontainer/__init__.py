"""A process in a container: an OCI bundle goes in, a process comes out; knows nothing of Docker."""
