"""What the script of the page draws, held against Python, in a real browser."""

import numpy as np
import pytest
from chromium import open_browser
from test_qc_orientation import CODES, preview_of

from spimpack_tasks.files.pages import write_page_at
from spimpack_tasks.qc.page import QcPage, compose_page
from spimpack_tasks.qc.preview import COLOURS, Preview, PreviewChannel
from spimpack_tasks.qc.slices import VIEWS, add_colours, cut_slice, to_canonical
from spimpack_tasks.qc.volume import SmallVolume
from spimpack_tasks.volumes.header import Header

READ_PIXELS = """
([code, position]) => {
  state.position = position;
  choose(code);
  drawAll();
  return [...document.querySelector(".views").querySelectorAll("canvas")].map((canvas) => {
    const context = canvas.getContext("2d");
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    return { width: canvas.width, height: canvas.height, pixels: [...pixels] };
  });
}
"""

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def pages():
    with open_browser() as pages:
        yield pages


@pytest.mark.slow
def test_the_script_draws_what_python_draws_for_all_48_codes(pages, tmp_path):
    stored = "LSA"
    phantom = preview_of(stored)
    voxels = np.concatenate([phantom.voxels, phantom.voxels[:, ::-1] // 2])
    channels = tuple(PreviewChannel(f"{n}", COLOURS[n], 0, 255, 200) for n in range(2))
    preview = Preview(voxels, phantom.spacing_um_xyz, channels)
    header = Header(("c", "z", "y", "x"), (voxels.shape,), "uint8")
    given = {"is_spacing_known": True, "level": 0, "level_count": 1, "bytes_read": 0}
    given["steps_zyx"] = (1, 1, 1)
    volume = SmallVolume("/a/b.ims", voxels, preview.spacing_um_xyz, header=header, **given)
    path = tmp_path / "page.html"
    write_page_at(str(path), compose_page(QcPage(volume, preview, (stored, "RPI"), "x")))
    tab, problems = pages.page, []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("console", lambda said: problems.extend([said.text] if said.type == "error" else []))
    tab.goto(path.as_uri())
    tab.wait_for_selector("canvas")
    for code in CODES:
        canonical = to_canonical(voxels, code)
        for share in (0.1, 0.5, 1):
            drawn = tab.evaluate(READ_PIXELS, [code, [share] * 3])
            for view, picture in zip(VIEWS, drawn, strict=True):
                depth = canonical.shape[view.through + 1]
                position = min(int(share * depth), depth - 1)
                expected = add_colours(cut_slice(canonical, view, position), channels)
                shape = (picture["height"], picture["width"], 4)
                pixels = np.array(picture["pixels"]).reshape(shape)[..., :3]
                assert pixels.shape == expected.shape
                assert abs(pixels - expected.astype(int)).max() <= 1
        assert tab.text_content("#answer") == code
    tab.click("[data-flip=RL]")
    tab.click("[data-take=RPI]")
    assert tab.text_content("#answer") == "RPI"
    for axes, answer in (("01", "PRI"), ("02", "IRP"), ("12", "IPR")):  # i15-7-swap, one by one
        tab.click(f"[data-swap='{axes}']")
        assert tab.text_content("#answer") == answer
    tab.locator("[data-channel='0'][data-key=on]").uncheck()
    assert not problems
    assert pages.hosts == {""}
