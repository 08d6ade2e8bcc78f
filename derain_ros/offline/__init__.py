"""De-raining of files: images, videos and whole recordings, every frame, as fast as it goes."""
