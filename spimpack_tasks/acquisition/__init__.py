"""Reads the files that acquisition programs write beside their images; see `programs`."""
