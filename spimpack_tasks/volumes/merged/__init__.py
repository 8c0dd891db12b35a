"""Several image files that make up one image: what is asked for, its header and its voxels."""
