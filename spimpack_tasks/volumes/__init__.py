"""Images of every format: headers, voxels, conversion and comparison."""
