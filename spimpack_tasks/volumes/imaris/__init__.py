"""Imaris files: headers, levels, and the places of their chunks."""
