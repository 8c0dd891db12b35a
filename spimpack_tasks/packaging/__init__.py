"""Packaging: from a manifest and its tables to the files of a BIDS dataset."""
