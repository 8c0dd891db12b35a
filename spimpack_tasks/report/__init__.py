"""What there is to see of a dataset: facts, a page, a picture of the tasks. Changes nothing."""
