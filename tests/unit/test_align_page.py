"""The page on an aligned brain: pictures, tracks, regions, escaped texts."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import SimpleITK
from alignment_root import CCF_SIZE, LABELS
from PIL import Image

from spimpack_tasks.alignment.atlas import AtlasLabels
from spimpack_tasks.alignment.geometry import LevelSize, base_grid
from spimpack_tasks.alignment.nrrd import write_nrrd
from spimpack_tasks.alignment.page import BrainPage, TrackView, _runs, compose_page
from spimpack_tasks.alignment.page_pictures import Silhouette, draw_silhouettes, draw_slices
from spimpack_tasks.alignment.picks import BREGMA_UM

BORDER = (255, 209, 102)
DOT = "data:image/png;base64,AA=="
SHADES = dict.fromkeys(("coronal", "sagittal", "horizontal"), Silhouette(DOT, -100, -50, 200, 100))
SAMPLES = (
    (0.0, (-100.0, 50.0, 50.0), "outside"),
    (10.0, (0.0, 0.0, 0.0), "CA<1>"),
    (30.0, (50.0, 10.0, -50.0), "CA<1>"),
)


def opened(address):
    head, data = address.split(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


@pytest.fixture
def volumes(tmp_path):
    """Return an image that is brighter to the right, and labels of two sides."""
    grid = base_grid([LevelSize((20, 40, 30), (0.1, 0.05, 0.2))], 0, "IRP")
    _, y, _ = np.meshgrid(np.arange(30), np.arange(40), np.arange(20), indexing="ij")
    paths = [str(tmp_path / name) for name in ("image.nrrd", "labels.nrrd")]
    write_nrrd(paths[0], grid, iter([(y * 10).astype(np.uint16)]))
    write_nrrd(paths[1], grid, iter([np.where(y < 10, -5, 5).astype(np.int32)]))
    return paths, grid.spacing_mm_xyz


def test_borders_of_the_atlas_are_drawn_where_labels_change(volumes):
    slices = draw_slices(*volumes[0], volumes[1])
    assert [each.view for each in slices] == [
        *["coronal"] * 5,
        *["sagittal"] * 3,
        *["horizontal"] * 3,
    ]
    coronal = opened(slices[2].picture)
    # 20 voxels of 0.1 mm down, and 40 of 0.05 mm across.
    assert coronal.size == (420, 420)
    pixels = np.asarray(coronal)
    columns = np.flatnonzero((pixels == BORDER).all(-1).all(0))
    assert columns.tolist() == [420 * 10 // 40 - 1]
    assert pixels[200, 30, 0] < pixels[200, 200, 0] < pixels[200, 390, 0]
    assert slices[2].place_mm == pytest.approx(15 * 0.2)
    horizontal = opened(slices[-1].picture)
    assert horizontal.size == (140, 420)
    sagittal = opened(slices[5].picture)
    assert sagittal.size == (420, 140)
    assert not (np.asarray(sagittal) == BORDER).all(-1).any()
    assert draw_slices(*volumes[0], volumes[1]) == slices


def test_an_image_of_one_value_has_pictures(tmp_path, volumes):
    grid = base_grid([LevelSize((20, 40, 30), (0.1, 0.05, 0.2))], 0, "IRP")
    path = str(tmp_path / "flat.nrrd")
    write_nrrd(path, grid, iter([np.full((30, 40, 20), np.nan, np.float32)]))
    assert len(draw_slices(path, volumes[0][1], volumes[1])) == 11


@pytest.mark.parametrize("ids", [tuple(LABELS.tolist()), None], ids=["list", "labels"])
def test_outlines_lie_where_the_atlas_lies(ids):
    """Of a box in the Allen CCF, at indices from the left, the front and above."""
    nothing = 5 if ids else 0
    voxels = np.full(CCF_SIZE[::-1], nothing, np.uint8)
    voxels[10:30, 40:100, 57:90] = 1
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing([0.1] * 3)
    image.SetDirection([-1, 0, 0, 0, 1, 0, 0, 0, -1])
    shades = draw_silhouettes(AtlasLabels(image, "", ids), BREGMA_UM)
    wanted = {"coronal": ((57, 90), (10, 30)), "sagittal": ((40, 100), (10, 30))}
    wanted["horizontal"] = ((57, 90), (40, 100))
    ml, ap, dv = BREGMA_UM
    corners = {"coronal": (ml, dv), "sagittal": (ap, dv), "horizontal": (ml, ap)}
    for view, ((left, right), (top, bottom)) in wanted.items():
        shade = shades[view]
        rows, columns = np.nonzero(np.asarray(opened(shade.picture))[..., 0] < 255)
        assert (columns.min(), columns.max() + 1) == (left, right)
        assert (rows.min(), rows.max() + 1) == (top, bottom)
        assert shade.left_um == pytest.approx(-corners[view][0] - 50)
        assert shade.top_um == pytest.approx(-corners[view][1] - 50)
        assert shade.width_um / shade.height_um == pytest.approx(
            np.divide(*opened(shade.picture).size)
        )


def compose(**more):
    tracks = [TrackView("a <b>", SAMPLES)]
    values = {"mouse": "7 & 8", "channel": "<c>", "slices": [], "tracks": tracks, "gaps": []}
    return compose_page(BrainPage(silhouettes=SHADES, **(values | more)))


def test_texts_of_a_page_are_escaped():
    page = compose(gaps=["<script>alert(1)</script>"])
    assert "<script" not in page
    for text in ("Alignment of 7 &amp; 8", "over &lt;c&gt;", "a &lt;b&gt;", "CA&lt;1&gt;"):
        assert text in page


class Addresses(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in {"src", "href"}]
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_loads_nothing():
    page, parser = compose(), Addresses()
    parser.feed(page)
    assert parser.open == []
    assert parser.found
    assert all(address.startswith("data:") for address in parser.found)
    assert "default-src 'none'" in page
    assert compose() == page


def test_tracks_lie_on_the_outline():
    """The outline is 200 x 100 µm from -100, -50 on, on 300 pixels."""
    lines = re.findall(r'<polyline points="([^"]*)"', compose())
    assert lines == [
        "0.0,0.0 150.0,75.0 225.0,150.0",  # right and down
        "75.0,0.0 150.0,75.0 135.0,150.0",  # back and down
        "0.0,0.0 150.0,75.0 225.0,60.0",  # right and back
    ]


def test_a_region_is_as_long_as_the_way_through_it():
    assert [*_runs(TrackView("a", SAMPLES))] == [("outside", 0.0, 10.0), ("CA<1>", 10.0, 30.0)]
    heights = re.findall(r'<rect y="([\d.]+)" width="60" height="([\d.]+)"', compose())
    assert heights == [("0.0", "140.0"), ("140.0", "280.0")]


def test_a_page_without_tracks_says_so():
    assert "There is no track." in compose(tracks=[])
