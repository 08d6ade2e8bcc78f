"""The network, its ONNX graphs, and the released models."""
