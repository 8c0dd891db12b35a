"""One study: what was recorded, and what is to come of it, over all stages."""
