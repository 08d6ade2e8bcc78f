"""Takes the rain out of camera images."""
