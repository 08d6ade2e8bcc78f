"""Training of the de-raining network."""
