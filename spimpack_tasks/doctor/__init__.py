"""Checks of a machine, which change nothing and clean up after themselves."""
