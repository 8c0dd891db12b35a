"""The task of validation. It needs no manifest: any BIDS dataset will do."""
