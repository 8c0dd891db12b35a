"""Report on a dataset: its data, an HTML page, and a picture of the tasks. Changes nothing."""
