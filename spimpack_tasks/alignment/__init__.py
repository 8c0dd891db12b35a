"""Alignment of a brain with an atlas: histology and probe tracks for the IBL alignment GUI.

Plain functions on NumPy and SimpleITK, and thin tasks. The network is never used. Transformations
are read from files, also those that a registrar has made.
"""
