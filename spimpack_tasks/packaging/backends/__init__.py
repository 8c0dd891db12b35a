"""The backends: how images get into the dataset. One module each."""
