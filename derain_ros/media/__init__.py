"""Reading image files, videos and bags."""
