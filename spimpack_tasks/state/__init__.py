"""What the output directory knows of itself: plans, receipts, locks, and what is right on disk."""
