"""Luigi tasks that make pages on images."""
