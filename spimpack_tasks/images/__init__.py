"""Images of any format as a library has them: what they are, and their voxels."""
