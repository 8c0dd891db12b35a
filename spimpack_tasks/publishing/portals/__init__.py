"""Archives that take datasets over an interface of their own."""
