"""TensorRT: building, keeping and running engines on NVIDIA GPUs."""
