"""Crops cut, and rain and cameras drawn, on the device that trains, in batches by torch."""
