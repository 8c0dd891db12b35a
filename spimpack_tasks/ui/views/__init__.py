"""One module for each page: its title, and its view of an open manifest.

The folder is not named pages: Streamlit would take the modules for pages of its own.
"""
