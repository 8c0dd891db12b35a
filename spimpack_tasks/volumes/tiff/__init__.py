"""TIFF and OME-TIFF: headers, levels, and writing."""
