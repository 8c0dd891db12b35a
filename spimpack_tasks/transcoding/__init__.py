"""Makes OME-Zarr of other formats, as far as can be by moving compressed chunks, not voxels."""
