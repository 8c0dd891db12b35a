"""Proof that a dataset holds what was written, and that conversions kept every voxel."""
