"""Studies: recordings and wanted results over all stages, in one file."""
