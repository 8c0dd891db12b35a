"""Metadata records for publication portals, each composed from the facts about a dataset."""
