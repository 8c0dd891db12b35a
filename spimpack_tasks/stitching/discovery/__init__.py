"""Finds the tiles of a recording: each layout of files is one module and one row of `layouts`."""
