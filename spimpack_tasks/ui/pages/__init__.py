"""One module for each page: its title, and what it shows of an open manifest."""
