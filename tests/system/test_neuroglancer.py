"""What Neuroglancer shows of a converted image, by its own client in a browser, offline."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import zarr
from chromium import _need, open_browser
from PIL import Image

from spimpack_tasks.cli.main import main
from spimpack_tasks.qc.neuroglancer import compose_state

neuroglancer = pytest.importorskip("neuroglancer")
_need("Neuroglancer, of the extra test", is_there=bool(neuroglancer))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of libraries of the client's server
]

SOFTWARE_GL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
WINDOWS = {"laptop": (1280, 720), "laptop, less the bars": (1280, 600), "desktop": (1920, 1080)}
SIZE_ZYX, SPACING_UM_ZYX = (30, 60, 80), (4.0, 2.0, 1.0)
VALUES = (1000, 2000, 3000)
"""Of the upper, the middle and the lower third of the planes."""
COLOUR = "FF8000"
GREY = (128, 128, 128)
"""What Neuroglancer shows where there is no image."""
PATIENCE_MS, LOOK_MS = 90_000, 500


class Files(SimpleHTTPRequestHandler):
    """Serves a folder to other pages, also parts of files."""

    def end_headers(self) -> None:
        """Let other pages read."""
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()

    def do_GET(self) -> None:
        """Send a file, or the part that is asked for."""
        path, wanted = self.translate_path(self.path), self.headers.get("Range")
        if not wanted or not os.path.isfile(path):
            super().do_GET()
            return
        data = Path(path).read_bytes()
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = data[-int(last) :] if not first else data[int(first) : int(last or len(data)) + 1]
        start = len(data) - int(last) if not first else int(first)
        self.send_response(206)
        end = start + len(part) - 1
        self.send_header("Content-Range", f"bytes {start}-{end}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def write_source(path: Path) -> None:
    """Write an OME-Zarr of one channel, with a colour and a window."""
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = {"type": "scale", "scale": [1, *SPACING_UM_ZYX]}
    datasets = [{"path": "0", "coordinateTransformations": [scale]}]
    window = {"min": 0, "max": 65535, "start": VALUES[0], "end": VALUES[2]}
    channel = {"label": "stain", "color": COLOUR, "window": window}
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    ome["omero"] = {"channels": [channel]}
    voxels = np.repeat(np.array(VALUES, "uint16"), SIZE_ZYX[0] // 3)
    root = zarr.create_group(path, attributes={"ome": ome})
    array = root.create_array("0", shape=(1, *SIZE_ZYX), dtype="uint16", chunks=(1, *SIZE_ZYX))
    array[:] = voxels[None, :, None, None]


def see(state: dict, size: tuple[int, int], middle: tuple[float, float]) -> np.ndarray:
    """Return what the client shows of a state, when something is seen in the middle of a panel."""
    neuroglancer.set_server_bind_address("127.0.0.1")
    viewer = neuroglancer.Viewer()
    plain = {"showAxisLines": False, "showDefaultAnnotations": False, "showScaleBar": False}
    viewer.set_state(state | plain)
    try:
        with open_browser(*size, SOFTWARE_GL) as pages:
            pages.page.goto(viewer.get_viewer_url())
            for _ in range(PATIENCE_MS // LOOK_MS):
                picture = Image.open(BytesIO(pages.page.screenshot())).convert("RGB")
                found = np.asarray(picture).astype(int)
                at = found[int(middle[1] * size[1]), int(middle[0] * size[0])]
                if tuple(at) != GREY and at.any():
                    break
                pages.page.wait_for_timeout(LOOK_MS)
            assert pages.hosts == {"127.0.0.1"}
            return found
    finally:
        neuroglancer.stop()


def edges_of(line: np.ndarray) -> tuple[int, int]:
    """Return where along a line of pixels an image begins and ends, and that it is seen whole."""
    seen = np.flatnonzero((line != GREY).any(axis=-1))
    inside = seen[(seen > 3) & (seen < len(line) - 4)]  # panels have borders
    assert len(inside) < len(line) - 8, "the image fills the panel"
    first, last = int(inside[0]), int(inside[-1])
    assert first > 4, "the image is cut off"
    assert last < len(line) - 5, "the image is cut off"
    assert last - first + 1 == len(inside)
    return first, last + 1


BAR_PX = 48
"""Of Neuroglancer, above its panels."""


def panels_of(picture: np.ndarray) -> dict[str, np.ndarray]:
    """Return the panels of slices by the axes across and down; the fourth shows a volume."""
    panels = picture[BAR_PX:]
    down, across = panels.shape[0] // 2, panels.shape[1] // 2
    return {
        "xy": panels[:down, :across],
        "xz": panels[:down, across:],
        "zy": panels[down:, across:],
    }


@pytest.mark.parametrize(
    ("ngff", "window"),
    [*(("0.5", window) for window in WINDOWS), ("0.4", "laptop")],
    ids=[*(f"g1-0.5-{window}" for window in WINDOWS), "g1-0.4"],
)
def test_g1_values_and_scale_are_those_of_the_image(
    tmp_path: Path, address: str, ngff: str, window: str
) -> None:
    write_source(tmp_path / "source.ome.zarr")
    out = tmp_path / "out.ome.zarr"
    assert main(["convert", str(tmp_path / "source.ome.zarr"), str(out), "--ngff", ngff]) == 0
    state = compose_state(str(out), address)
    picture = see(json.loads(json.dumps(state)), WINDOWS[window], (0.25, 0.3))
    um_per_pixel = state["crossSectionScale"] * min(SPACING_UM_ZYX)
    extents = dict(zip("zyx", np.multiply(SIZE_ZYX, SPACING_UM_ZYX), strict=True))
    for name, panel in panels_of(picture).items():
        middle = [n // 2 for n in panel.shape[:2]]
        # Beside the very middle, at which Neuroglancer may show lines.
        lines = panel[middle[0] + 9], panel[:, middle[1] + 9]
        for axis, line in zip(name, lines, strict=True):
            first, last = edges_of(line)
            assert last - first == pytest.approx(extents[axis] / um_per_pixel, abs=2)
    first, last = edges_of(panels_of(picture)["xz"][:, WINDOWS[window][0] // 4 + 9])
    column = panels_of(picture)["xz"][first:last, WINDOWS[window][0] // 4 + 9]
    full = np.array([int(COLOUR[at : at + 2], 16) for at in (0, 2, 4)])
    for third, value in enumerate(VALUES):
        share = (value - VALUES[0]) / (VALUES[2] - VALUES[0])
        seen = column[(2 * third + 1) * len(column) // 6]
        np.testing.assert_allclose(seen, share * full, atol=2)
