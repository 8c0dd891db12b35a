"""Folders that hold one file for each plane of an image: headers and levels."""
