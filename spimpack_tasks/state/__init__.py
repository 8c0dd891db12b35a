"""State of an output directory: plans, receipts, locks, and the comparison with the disk."""
