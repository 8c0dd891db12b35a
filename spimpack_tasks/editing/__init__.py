"""Editing a manifest and its tables as their user sees them, without knowing any user interface."""
