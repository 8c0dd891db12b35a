"""OME-Zarr whose full level is made of the bytes of its source, without decoding a voxel."""
