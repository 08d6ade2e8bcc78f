"""Writing recordings anew: of each format, everything but the images stays as it is."""
