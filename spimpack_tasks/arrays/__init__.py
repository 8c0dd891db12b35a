"""Arithmetic on arrays of voxels: chunks, pyramids, codecs. No module opens an image."""
