"""Conversion of one image, with no dataset around it."""
