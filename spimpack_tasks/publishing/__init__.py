"""Sends a packaged dataset to an object store, and checks what is there."""
