"""Access to the pages: from this machine only, with the token that `spimpack ui` made.

Every user of a machine can reach its loopback, and a page of another site can make a browser
request it under another host name. Neither knows the token. If Streamlit was started by hand, there
is no token; then the pages are shown to this machine alone, under its own names.
"""

from __future__ import annotations

import hmac
import ipaddress
import os

import streamlit as st

from spimpack_tasks.running.supervised import TOKEN_VARIABLE

_PARAMETER, _ADMITTED = "token", "admitted"
_OWN_NAMES = frozenset({"", "localhost", "127.0.0.1", "[::1]"})


def stop_strangers() -> None:
    """Show only a refusal to visitors who may not see the pages."""
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not (_has_token(token) if token else _is_local()):
        st.error("This address is not complete. Use the one that spimpack ui has printed.")
        st.stop()
    if token and st.query_params.get(_PARAMETER) != token:
        # The address keeps the token from page to page, so that each can be reloaded.
        st.query_params[_PARAMETER] = token


def _has_token(token: str) -> bool:
    if not st.session_state.get(_ADMITTED):
        given = st.query_params.get(_PARAMETER, "")
        st.session_state[_ADMITTED] = hmac.compare_digest(given.encode(), token.encode())
    admitted: bool = st.session_state[_ADMITTED]
    return admitted


def _is_local() -> bool:
    name = st.context.headers.get("Host", "").rpartition(":")
    host = name[0] if name[2].isdecimal() else "".join(name)
    address = st.context.ip_address
    # Of most clients on this machine there is no address.
    return host in _OWN_NAMES and not (isinstance(address, str) and not _is_loopback(address))


def _is_loopback(text: str) -> bool:
    """Tell whether an address is loopback, also as IPv6 writes one of IPv4."""
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
