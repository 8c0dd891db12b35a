"""Voxels of each source format, block by block; nothing here knows what they are shown for."""
