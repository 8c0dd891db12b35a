"""From the text of a manifest and its tables to validated rows."""
