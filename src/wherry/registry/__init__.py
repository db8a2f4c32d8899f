"""A client of OCI distribution registries: manifests, blobs, tokens."""
