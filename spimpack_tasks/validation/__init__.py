"""Validation of datasets by the official BIDS validator and by checks of our own."""
