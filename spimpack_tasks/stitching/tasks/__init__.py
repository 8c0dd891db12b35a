"""Tasks of stitching: one for a tile's step or for a part of the volume, never for a chunk."""
