"""OME-Zarr, as a directory or in a zip file: headers, levels, and writing."""
