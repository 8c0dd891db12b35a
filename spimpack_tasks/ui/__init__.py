"""The web pages, made with Streamlit: what is shown and where it is typed, and nothing else.

Nothing outside this package imports it, so Streamlit may be imported at the top of its modules.
"""
