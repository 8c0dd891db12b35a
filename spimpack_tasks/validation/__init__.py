"""What others say of the dataset that was written: the official BIDS validator."""
