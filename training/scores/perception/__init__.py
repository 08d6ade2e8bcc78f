"""What detectors and segmenters still see in rain, and in what the network makes of it."""
