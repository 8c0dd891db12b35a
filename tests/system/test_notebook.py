"""The notebook of the pages: its cells run, and show what it says.

    REFRESH_DOCS=1 python -m pytest tests/system/test_notebook.py

puts what the cells show now into it.
"""

import base64
import io
import json
import os
import subprocess
import sys

import numpy as np
from markdown_blocks import ROOT
from notebook_cells import as_text
from PIL import Image

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


def test_i15_9_the_notebook_shows_what_it_says(tmp_path):
    runner = ROOT / "tests" / "support" / "notebook_cells.py"
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", runner, NOTEBOOK]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    now = json.loads(done.stdout)
    if os.environ.get("REFRESH_DOCS"):
        NOTEBOOK.write_text(as_text(now), encoding="utf-8")
    else:
        committed = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
        assert list(map(seen, now["cells"])) == list(map(seen, committed["cells"]))
        for picture, before in zip(pictures_of(now), pictures_of(committed), strict=True):
            # Versions of Pillow round differently when they make a picture larger.
            assert np.abs(picture - before).max() <= 2


def seen(cell):
    """Return what a reader sees of a cell besides pictures."""
    outputs = [each for each in cell.get("outputs", ()) if "image/png" not in each.get("data", {})]
    return cell["source"], outputs


def pictures_of(notebook):
    """Return the pictures of a notebook as arrays of pixels."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    texts = [each["data"]["image/png"] for each in outputs if "image/png" in each.get("data", {})]
    opened = [Image.open(io.BytesIO(base64.b64decode(text))) for text in texts]
    return [np.asarray(image.convert("RGB")).astype(int) for image in opened]


def test_i15_9_the_notebook_ends_with_a_picture_in_two_colours():
    (picture,) = pictures_of(json.loads(NOTEBOOK.read_text(encoding="utf-8")))
    red, green, blue = np.moveaxis(picture, -1, 0)
    assert np.array_equal(red, blue)
    assert (green > red + 100).any()
    assert (red > green + 100).any()
