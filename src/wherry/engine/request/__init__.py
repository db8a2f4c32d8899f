"""What a client asked for: merged with the image, checked, normalised; pure functions."""
