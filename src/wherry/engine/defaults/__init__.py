"""What a container is confined by when nobody says anything: Docker's defaults, as data and pure functions."""
