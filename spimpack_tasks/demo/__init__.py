"""Small, real inputs made on the spot, for a first try of the package and for its tests."""
