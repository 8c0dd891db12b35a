"""The task that converts one image by itself."""
