"""Fields for the address of a publication; credentials are never among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from spimpack_tasks.doctor.answer import State
from spimpack_tasks.doctor.credentials import check_location
from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.publishing.known import find_publications
from spimpack_tasks.publishing.target import make_location
from spimpack_tasks.remote.credentials import profile_names
from spimpack_tasks.remote.location import EXAMPLE, SecretInAddressError, refuse_secrets
from spimpack_tasks.running.publishing import PUBLICATIONS, PublishRequest
from spimpack_tasks.ui.markdown import plain
from spimpack_tasks.ui.session import notify

if TYPE_CHECKING:
    from spimpack_tasks.doctor.answer import Answer
    from spimpack_tasks.remote.location import Location
    from spimpack_tasks.state.store import Store

URL, ENDPOINT, PROFILE = "publish-url", "publish-endpoint", "publish-profile"
RATE, PORTALS = "publish-rate", "publish-portals"
_KEPT, _CREDENTIALS = "publish-kept", "publish-credentials"
_BYTES = 1_000_000
"""Bytes in the unit of the limit."""


def restore_publish_fields(store: Store) -> None:
    """Fill the fields as they were on this page before, or from the last publication."""
    kept = st.session_state.get(_KEPT, {})
    is_same = kept.get("dataset") == store.output_dir
    if not is_same:
        kept = {PORTALS: kept.get(PORTALS, []), **_first(store), "dataset": store.output_dir}
    for name, value in kept.items():
        if name.startswith("publish-") and (not is_same or name not in st.session_state):
            st.session_state[name] = value
    st.session_state[_KEPT] = kept


def keep_publish_fields() -> None:
    """Keep the fields; Streamlit forgets them when another page is shown."""
    kept = st.session_state[_KEPT]
    st.session_state[_KEPT] = {
        name: st.session_state.get(name, value) for name, value in kept.items()
    }


def _first(store: Store) -> dict[str, Any]:
    """Return the initial content of the fields."""
    run = PUBLICATIONS.find(store.output_dir)
    request = run.request if run else PublishRequest(store.output_dir, "")
    if run is None and (known := find_publications(store)):
        location = known[0].location
        request = PublishRequest(store.output_dir, str(location), location.endpoint_url)
    return {
        URL: request.url,
        ENDPOINT: request.endpoint_url,
        PROFILE: request.profile,
        RATE: request.limit_rate / _BYTES,
    }


def show_publish_fields() -> None:
    """Show the fields."""
    left, right = st.columns([3, 2])
    left.text_input(
        "Address",
        key=URL,
        on_change=_empty_secret,
        args=(URL,),
        placeholder=EXAMPLE,
        help="Bucket and prefix, with s3://, gs:// or az:// in front. The bucket must be there.",
    )
    right.text_input(
        "Endpoint",
        key=ENDPOINT,
        on_change=_empty_secret,
        args=(ENDPOINT,),
        placeholder="https://s3.example.org",
        help="Address of a look-alike of S3; empty for the usual one, or that of the environment.",
    )
    left, right = st.columns([3, 2])
    known = dict.fromkeys(["", *_profiles(), st.session_state[PROFILE]])
    left.selectbox(
        "Profile",
        list(known),
        key=PROFILE,
        format_func=lambda name: name or "none",
        help="Profile of your AWS configuration, where its keys stay.",
    )
    about = "0 for no limit"
    right.number_input("Limit of the rate, MB a second", 0.0, key=RATE, help=about, step=1.0)


def _profiles() -> list[str]:
    try:
        return profile_names()
    except SpimpackError:  # it is shown with the credentials, which are in the same files
        return []


def _empty_secret(key: str) -> None:
    """Empty a field that may hold a secret, so that nothing keeps it."""
    text = st.session_state[key]
    try:
        refuse_secrets(text.partition("://")[2] or text)
    except SecretInAddressError as error:
        st.session_state[key] = ""
        notify(f"The field is emptied: {error}.")


def request_of_publish_fields(store: Store) -> PublishRequest:
    """Return the request in the fields."""
    url, endpoint, profile = (st.session_state[key].strip() for key in (URL, ENDPOINT, PROFILE))
    limit_rate = round(st.session_state[RATE] * _BYTES)
    return PublishRequest(store.output_dir, url, endpoint, profile, limit_rate)


def show_credentials(request: PublishRequest) -> None:
    """Show where credentials were found.

    Raises
    ------
    SpimpackError
        The address is wrong, or the configuration cannot be read.
    """
    location = make_location(request.url, request.endpoint_url, request.profile)
    answer = _find(location)
    if answer.state is State.OK:
        st.caption(f":material/key: Credentials for {plain(answer.message)}")
    else:
        st.warning(plain(answer.message), icon=":material/key_off:")


def _find(location: Location) -> Answer:
    """Return where credentials are, from before: a profile may ask a program for them."""
    seen, answer = st.session_state.get(_CREDENTIALS, (None, None))
    if seen != location:
        answer = check_location(location)
        st.session_state[_CREDENTIALS] = location, answer
    found: Answer = answer
    return found


def forget_credentials() -> None:
    """Look for credentials again when they are shown next."""
    st.session_state.pop(_CREDENTIALS, None)


def show_publish_line(request: PublishRequest) -> None:
    """Show the command for a terminal."""
    with st.expander("The same on the command line", icon=":material/terminal:"):
        st.code(request.line(), language="bash", wrap_lines=True)
        st.caption(
            "For publications of many hours: one that is started there continues when this page's "
            "server ends. It looks for credentials in its own environment."
        )
