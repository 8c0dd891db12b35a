"""What a viewer in a browser asks of a published dataset, by a server that answers in many ways."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from spimpack_tasks.publishing.links import images_in, links_of, public_address
from spimpack_tasks.publishing.public import try_as_public
from spimpack_tasks.remote.location import Location

DATA = b"0123456789"
CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "Range"}
SOUND = {
    "get": (200, CORS),
    "range": (206, CORS),
    "options": (204, CORS),
    "absent": (404, CORS),
}
"""Status and headers of the answer to each kind of request."""
FAULTS = {
    "sound": ({}, []),
    "closed": ({"get": (403, CORS)}, ["anybody can read"]),
    "closed, and no CORS": (
        {"get": (403, {}), "range": (403, {}), "options": (403, {}), "absent": (403, {})},
        [
            "anybody can read",
            "ranges can be read",
            "a browser may read (CORS)",
            "a browser may ask for ranges (preflight)",
            "an absent object is told as 404",
            "a browser may see that it is absent",
        ],
    ),
    "no ranges": ({"range": (200, CORS)}, ["ranges can be read"]),
    "no CORS": (
        {"range": (206, {}), "options": (403, {}), "absent": (404, {})},
        [
            "a browser may read (CORS)",
            "a browser may ask for ranges (preflight)",
            "a browser may see that it is absent",
        ],
    ),
    "no CORS for 404": ({"absent": (404, {})}, ["a browser may see that it is absent"]),
    "403 for 404": ({"absent": (403, CORS)}, ["an absent object is told as 404"]),
    "another origin": (
        {"range": (206, {"Access-Control-Allow-Origin": "https://example.org"})},
        ["a browser may read (CORS)"],
    ),
    "preflight without Range": (
        {"options": (204, {"Access-Control-Allow-Origin": "*"})},
        ["a browser may ask for ranges (preflight)"],
    ),
}


@pytest.fixture
def serve():
    servers = []

    def start(answers: dict) -> str:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def _answer(self):
                kind = "range" if "Range" in self.headers else self.command.lower()
                kind = kind if self.path.endswith("/a%20b") else "absent"
                status, headers = answers[kind]
                data = DATA[:1] if status == 206 else DATA
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)) if status != 204 else "0")
                self.end_headers()
                if status != 204:
                    self.wfile.write(data)

        for method in ("GET", "OPTIONS"):
            setattr(Handler, f"do_{method}", Handler._answer)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/lab/x"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("fault", FAULTS)
def test_each_question_finds_its_fault(serve, fault):
    answers, wrong = FAULTS[fault]
    trials = try_as_public(serve(SOUND | answers), "a b")
    assert [trial.what for trial in trials if not trial.is_right] == wrong
    assert all(trial.remedy for trial in trials)


ADDRESSES = {
    ("s3://lab/a b", "", ""): "https://lab.s3.amazonaws.com/a%20b",
    ("s3://lab/a", "", "eu-west-1"): "https://lab.s3.eu-west-1.amazonaws.com/a",
    ("s3://my.lab/a", "", "eu-west-1"): "https://s3.eu-west-1.amazonaws.com/my.lab/a",
    ("s3://lab/a", "https://s3.example.org/", ""): "https://s3.example.org/lab/a",
    ("s3://lab", "", ""): "https://lab.s3.amazonaws.com",
    ("gs://lab/a", "", ""): "https://storage.googleapis.com/lab/a",
    (
        "az://lab/a",
        "https://us.blob.core.windows.net",
        "",
    ): "https://us.blob.core.windows.net/lab/a",
}


@pytest.mark.parametrize("given", ADDRESSES)
def test_addresses_have_no_slash_at_their_end(given):
    url, endpoint, region = given
    assert public_address(Location.parse(url, endpoint), region) == ADDRESSES[given]


def test_images_are_those_that_can_be_opened():
    names = [
        "sub-1/a.ome.zarr/zarr.json",
        "sub-1/a.ome.zarr/0/zarr.json",
        "sub-1/b.ome.zarr/.zattrs",
        "sub-1/c.ome.zarr/0/0",
        "sub-1/d.ome.tif",
    ]
    assert images_in(names) == ["sub-1/a.ome.zarr", "sub-1/b.ome.zarr"]
    links = {link.viewer: link.url for link in links_of("https://h/x", "sub 1/a.ome.zarr")}
    # The parameter is an address with an escaped blank, and is escaped itself.
    assert links["vizarr"].endswith("?source=https://h/x/sub%25201/a.ome.zarr")
