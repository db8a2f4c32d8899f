"""The ledger: values on disk, whole or not at all."""
