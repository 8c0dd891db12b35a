"""Luigi tasks that publish a dataset."""
