"""Whether a machine has what is needed: checks that change nothing, and clean up after them."""
