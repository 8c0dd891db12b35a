"""Verification that a dataset is as recorded, and that conversions kept every voxel."""
