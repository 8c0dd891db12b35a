"""The web pages, made with Streamlit: display and input only.

Nothing outside this package imports it, so Streamlit may be imported at the top of its modules.
"""
