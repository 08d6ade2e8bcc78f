"""Inference engines: what runs the network, one runtime per file behind one protocol."""
