"""Tasks of the alignment: one for a row of the manifest, a channel or a volume."""
