"""What the source files say of themselves. One module per format, read-only."""
