"""Builds the site from the pages, and serves it.

    python docs/build_site.py [--serve] [--port PORT] [--to DIR]

The build fails with a broken link or anchor, and with a page that the menu lacks. The site fetches
nothing from elsewhere: open `docs/index.html` in its folder, or serve it. Needs the extra `docs`.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

try:
    from sphinx.cmd.build import main as build
except ModuleNotFoundError:
    sys.exit("Sphinx is not installed; run: pip install '.[docs]'")

DOCS = Path(__file__).parent
STRICT = ["--fail-on-warning", "--keep-going", "--quiet", "--fresh-env"]


def main() -> int:
    """Build the site, and serve it if wanted."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--serve", action="store_true", help="serve it on this machine, too")
    parser.add_argument("--port", type=int, default=8000, help="to serve it at (default: 8000)")
    parser.add_argument("--to", type=Path, default=DOCS.parent / "build" / "site", metavar="DIR")
    arguments = parser.parse_args()
    target = str(arguments.to)
    code = build([*STRICT, "--conf-dir", str(DOCS), str(DOCS.parent), target])
    if code == 0:
        print(f"{target}/docs/index.html")
        if arguments.serve:
            serve(target, arguments.port)
    return code


def serve(folder: str, port: int) -> None:
    """Serve a folder to this machine alone, until Ctrl-C."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        sys.exit(f"port {port} cannot be used ({error.strerror}); choose another by --port")
    with server:
        print(f"http://127.0.0.1:{server.server_port}/ (Ctrl-C stops it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    raise SystemExit(main())
