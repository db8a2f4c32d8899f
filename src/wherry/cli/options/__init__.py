"""Flags of `run` and `create`, and how their texts become the API's configuration, as docker's client reads them."""
