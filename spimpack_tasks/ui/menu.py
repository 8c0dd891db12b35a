"""Closes the menu in a narrow window when a page was chosen in it.

Streamlit lays the menu over the page there, and closes it on telephones only, which it knows by
their names and not by their widths. It has no function for this, and `initial_sidebar_state` does
not count once a user has opened the menu. So a script of two steps presses its button, and
forgets that it was pressed, or the menu would be closed in a wide window later as well.
"""

from __future__ import annotations

import streamlit as st

_NARROW_PX = 768
"""Width up to which Streamlit lays the menu over the page."""

_KEY = "menu-script"
HIDDEN = f"[data-testid=stLayoutWrapper]:has(> .st-key-{_KEY}) {{display: none}}"
"""Style without which the script would take a line of the page."""

_SCRIPT = """\
<script data-page="{page}">
if (window.innerWidth <= {width}) {{
  const button = document.querySelector("[data-testid=stSidebar] button[aria-expanded=true]");
  if (button) {{
    button.click();
    Object.keys(localStorage).filter((key) => key.startsWith("stSidebarCollapsed-"))
      .forEach((key) => localStorage.removeItem(key));
  }}
}}
</script>"""


def close_menu_if_narrow(page: str) -> None:
    """Close the menu of a narrow window; the browser runs this once for each change of page.

    Parameters
    ----------
    page
        Last part of the address of the page.
    """
    with st.container(key=_KEY):
        st.html(_SCRIPT.format(page=page, width=_NARROW_PX), unsafe_allow_javascript=True)
