"""Package light-sheet microscopy (SPIM) files into a valid BIDS dataset, as a Luigi task graph."""
