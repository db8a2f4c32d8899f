"""From a container to a runtime-spec: pure functions, one for each part of the specification."""
