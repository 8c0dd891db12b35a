"""NIfTI files: headers and levels."""
