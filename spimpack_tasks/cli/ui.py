"""`spimpack ui`: serves the web pages to this machine alone; a browser needs the token."""

from __future__ import annotations

import argparse
import errno
import os
import secrets
import socket
import sys
import threading
import time
import webbrowser
from importlib.util import find_spec
from typing import TYPE_CHECKING

from spimpack_tasks.errors import ExitCode, MissingExtraError, SpimpackError
from spimpack_tasks.running.supervised import TOKEN_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

ADDRESS = "127.0.0.1"
PORTS = range(8501, 8521)
"""Tried one after the other, so that the address mostly stays the same."""

OPTIONS = {
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "client.toolbarMode": "minimal",
    "logger.hideWelcomeMessage": "true",
    "logger.level": "warning",
    "server.address": ADDRESS,
    "server.enableCORS": "true",
    "server.enableXsrfProtection": "true",
    "server.fileWatcherType": "none",
    "server.headless": "true",
    "server.maxUploadSize": "16",
    "server.runOnSave": "false",
}
HOSTS = (ADDRESS, "localhost")
"""Names by which a browser may ask for the pages; others are some other site's."""


class StartRefusedError(SpimpackError):
    """The pages cannot be served as was asked for."""

    exit_code = ExitCode.BAD_INPUT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="DIR",
        help="folder that may be seen and written to; may be given several times (default: the "
        "working directory)",
    )
    parser.add_argument("--manifest", default="", metavar="FILE", help="manifest to open at once")
    parser.add_argument(
        "--port", type=_port, default=0, metavar="N", help="port (default: the first free one)"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="open no browser, only print the address"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve the pages until Ctrl+C."""
    if find_spec("streamlit") is None:
        what = "Streamlit, which serves the pages,"
        raise MissingExtraError(what, "ui")
    page = _page_arguments(arguments)
    port = arguments.port or _free_port()
    _check_port(port)
    token = secrets.token_urlsafe(24)
    os.environ[TOKEN_VARIABLE] = token
    url = f"http://{ADDRESS}:{port}/?token={token}"
    opens = not arguments.no_browser and _has_display()
    threading.Thread(target=_announce, args=(url, port, opens), daemon=True).start()
    _serve(port, page)
    print("spimpack: the pages are closed, and runs that they started are stopped")
    return ExitCode.OK


def _serve(port: int, page: list[str]) -> None:
    from streamlit.web import cli

    app = os.path.join(os.path.dirname(os.path.dirname(__file__)), "ui", "app.py")
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    hosts = [f"--server.allowedHosts={host}" for host in HOSTS]
    command = ["run", app, f"--server.port={port}", *options, *hosts, "--", *page]
    cli.main(command, prog_name="streamlit", standalone_mode=False)


def _page_arguments(arguments: argparse.Namespace) -> list[str]:
    """Return the arguments of the pages: the roots, and the manifest."""
    manifest = arguments.manifest and os.path.realpath(os.path.expanduser(arguments.manifest))
    roots = [os.path.realpath(os.path.expanduser(root)) for root in arguments.root]
    for root in roots:
        if not os.path.isdir(root):
            message = f"{root} is not a directory; give --root a directory that is there"
            raise StartRefusedError(message)
    if not roots:
        roots = [os.getcwd()]
        if manifest and os.path.commonpath([manifest, roots[0]]) != roots[0]:
            roots.append(os.path.dirname(manifest))
    given = [f"--root={root}" for root in roots]
    return [*given, f"--manifest={manifest}"] if manifest else given


def _free_port() -> int:
    for port in PORTS:
        try:
            _check_port(port)
        except StartRefusedError:
            continue
        return port
    message = f"the ports {PORTS[0]} to {PORTS[-1]} are all taken; name another one with --port"
    raise StartRefusedError(message)


def _check_port(port: int) -> None:
    """Refuse a port that cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"is refused: {error.strerror}"
            message = f"port {port} {why}; name another one with --port, or none"
            raise StartRefusedError(message) from error


def _announce(url: str, port: int, opens: bool) -> None:  # noqa: FBT001 - of a thread
    """Say where the pages are when they can be seen, and open a browser if wanted."""
    while not _answers(port):
        time.sleep(0.1)
    print(f"The pages are at {url}", flush=True)
    print(f"They show and write files below the roots. Ctrl+C ends them.\n{_from_elsewhere(port)}")
    sys.stdout.flush()
    if opens:
        webbrowser.open(url)


def _answers(port: int) -> bool:
    """Tell whether the server says that it is well."""
    request = f"GET /_stcore/health HTTP/1.0\r\nHost: {ADDRESS}:{port}\r\n\r\n"
    try:
        with socket.create_connection((ADDRESS, port), timeout=5) as connection:
            connection.sendall(request.encode())
            return b" 200 " in connection.recv(100)
    except OSError:
        return False


def _from_elsewhere(port: int) -> str:
    host = socket.gethostname()
    return f"From another machine: ssh -L {port}:{ADDRESS}:{port} {host}, then the same address."


def _has_display(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a browser would have a screen; without one, it would take the terminal."""
    names = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform == "darwin" or any(environment.get(name) for name in names)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        message = f"{text!r} is not a port, which is a number from 1 to 65535"
        raise argparse.ArgumentTypeError(message)
    return int(text)
