"""Seconds that the page of the scans takes to answer, without the browser's own part.

python benchmarks/pages.py [SCANS ...]

Each row is a small OME-TIFF with a header of its own to be read. The floor is a page of Streamlit
that holds nothing but a grid of as many rows.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from streamlit.testing.v1 import AppTest

import spimpack_tasks

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
COLUMNS = ("subject", "sample", "spim_path", "orientation_string_xyz", "sample_staining", "Species")
APP = Path(spimpack_tasks.__file__).parent / "ui" / "app.py"


def write_study(folder: Path, scans: int) -> Path:
    data = np.zeros((2, 4, 16, 16), "uint16")
    about = {"axes": "CZYX", "Channel": {"Name": ["a", "b"]}}
    for axis, size in (("X", 1.8), ("Y", 1.8), ("Z", 4.0)):
        about |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "um"}
    rows = ["\t".join(COLUMNS)]
    for number in range(scans):
        tifffile.imwrite(folder / f"{number}.ome.tif", data, metadata=about)
        rows.append(f"{number:04}\tbrain\t{number}.ome.tif\tRPI\ta;b\tmouse")
    (folder / "scans.tsv").write_text("\n".join(rows) + "\n")
    manifest = folder / "manifest.yml"
    manifest.write_text(
        "dataset_description: {Name: x, BIDSVersion: 1.10.0, DatasetType: raw, License: CC0}\n"
    )
    return manifest


def grid_alone(scans: int) -> None:
    import pandas as pd  # noqa: PLC0415 - the page runs in a place of its own
    import streamlit as st  # noqa: PLC0415 - as above

    frame = pd.DataFrame({f"column {n}": [str(n)] * scans for n in range(6)})
    st.data_editor(frame, key="grid", num_rows="fixed")


def median_seconds(do: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        do()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def measure(folder: Path, scans: int) -> tuple[float, ...]:
    manifest = write_study(folder, scans)
    floor = AppTest.from_function(grid_alone, args=(scans,)).run()
    floor_seconds = median_seconds(floor.run)
    sys.argv = ["app.py", "--root", str(folder), "--manifest", str(manifest)]
    began = time.perf_counter()
    page = AppTest.from_file(str(APP), default_timeout=300).run()
    first = time.perf_counter() - began
    assert not page.exception
    look = median_seconds(page.run)
    (button,) = [button for button in page.button if button.label == "Add row"]
    edit = median_seconds(lambda: button.click().run())
    return first, look, edit, floor_seconds


def main() -> None:
    print("| scans | first look | look again | add a row | a grid alone |")
    print("|---|---|---|---|---|")
    for scans in [int(text) for text in sys.argv[1:]] or [20, 200, 2000]:
        with tempfile.TemporaryDirectory() as name:
            os.environ["XDG_STATE_HOME"] = name
            folder = Path(name).resolve() / "study"
            folder.mkdir()
            cells = (f"{seconds:.3f} s" for seconds in measure(folder, scans))
            print(f"| {scans:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
