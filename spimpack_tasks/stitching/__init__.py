"""Tiles of a sample, which a stage has recorded side by side, become one volume."""
