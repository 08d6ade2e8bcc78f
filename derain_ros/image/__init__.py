"""Camera messages to uint8 frames and back."""
