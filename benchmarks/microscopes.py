"""CPU seconds and memory of files that microscopes write: opening them, and converting them.

    python benchmarks/microscopes.py [--planes N] [--side N] [--rounds N] [--folder DIR]

Writes the same voxels as an OME-TIFF, a folder of planes, LSM, CZI and Thorlabs RAW, and converts
each to OME-Zarr in a process of its own; the formats take turns in each round, and ratios are those
within a round. Of LSM and CZI the seconds that their library takes to decode all planes are told as
well. Then it looks at an OME-TIFF of 1 GiB that holds no byte on the disk: its facts, beside
tifffile's own opening, and one plane of it.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import tifffile
from measuring import BIN, Measurement, describe_machine, measure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from czi_sources import Czi, write_czi
from lsm_sources import Lsm, write_lsm
from thorlabs_sources import Raw, write_raw

BASE = "planes"
"""What the others are compared with."""
MOST_RATIO = 1.5
DECODING = {
    "LSM": "import tifffile; [p.asarray() for p in tifffile.TiffFile(path).series[0].pages]",
    "CZI": "from pylibCZIrw import czi\nwith czi.open_czi(path) as f:\n"
    "    [f.read(plane={'C': 0, 'Z': z, 'T': 0}) for z in range(f.total_bounding_box['Z'][1])]",
    "OME-TIFF": "import tifffile; [p.asarray() for p in tifffile.TiffFile(path).pages]",
}
OPENING = {
    "tifffile opens it": ("import tifffile; tifffile.TiffFile(path).series", None),
    "spimpack info": ("", 150),
    "probe_image, Luigi imported": (
        "from spimpack_tasks import probe_image; probe_image(path)",
        150,
    ),
    "one plane": (
        "from spimpack_tasks import open_image; open_image(path).levels[0][0, 60, 1].max()",
        250,
    ),
}
"""Code, and the most MB that it may take."""


def write_sources(folder: Path, planes: int, side: int) -> dict[str, Path]:
    """Write the voxels in each format: noise above a smooth ground, as of a camera."""
    rng = np.random.default_rng(0)
    noise = rng.poisson(30, (side, side)).astype("u2")
    voxels = np.stack([np.roll(noise, 7 * z, 1) + np.uint16(z) for z in range(planes)])
    stack = voxels[None, :, None]
    for name in ("planes", "raw"):
        (folder / name).mkdir()
    for z, plane in enumerate(voxels):
        tifffile.imwrite(folder / f"planes/z{z:04}.tif", plane)
    metadata = {"axes": "ZYX", "PhysicalSizeX": 1.0, "PhysicalSizeY": 1.0, "PhysicalSizeZ": 1.0}
    tifffile.imwrite(folder / "a.ome.tif", voxels, metadata=metadata)
    sizes = {"z": planes, "y": side, "x": side, "c": 1}
    as_tczyx = np.ascontiguousarray(stack.transpose(0, 2, 1, 3, 4))
    czi = Czi(**sizes, tile=(side, side), names=("a",))
    return {
        "planes": folder / "planes",
        "OME-TIFF": folder / "a.ome.tif",
        "LSM": write_lsm(folder / "a.lsm", Lsm(**sizes, names=("a",), colours=((1, 2, 3),)), stack),
        "CZI": write_czi(folder / "a.czi", czi, _like(czi, as_tczyx, stack)),
        "RAW": write_raw(folder / "raw/a.raw", Raw(**sizes), stack),
    }


def _like(czi: Czi, *arrays: np.ndarray) -> np.ndarray:
    """Return the array that has the order of axes of the writer of CZI."""
    return next(array for array in arrays if array.shape == czi.voxels().shape)


def convert_all(sources: dict[str, Path], folder: Path, rounds: int) -> None:
    """Convert each source, and print CPU, memory and the ratio to the folder of planes."""
    found: dict[str, list[Measurement]] = defaultdict(list)
    target = folder / "made.ome.zarr"
    for _ in range(rounds):
        for name, source in sources.items():
            found[name].append(measure([BIN / "spimpack", "convert", source, target]))
            shutil.rmtree(target)
    decoding = {}
    for name, code in DECODING.items():
        words = [sys.executable, "-c", f"import sys\npath = sys.argv[1]\n{code}", sources[name]]
        decoding[name] = measure([*words]).cpu_s
    print("| to OME-Zarr | CPU s | peak MiB | / planes | its library decodes, CPU s |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, runs in found.items():
        cpu = statistics.median(run.cpu_s for run in runs)
        pairs = zip(runs, found[BASE], strict=True)
        ratio = statistics.median(run.cpu_s / base.cpu_s for run, base in pairs)
        peak = max(run.peak_mib for run in runs)
        own = f"{decoding[name]:.2f}" if name in decoding else ""
        print(f"| {name} | {cpu:.2f} | {peak:.0f} | {ratio:.2f} | {own} |")
    print(f"Aimed at: {MOST_RATIO} times the planes, and the library's own decoding.")


def look_at_a_gibibyte(folder: Path) -> None:
    path = folder / "large.ome.tif"
    tifffile.imwrite(path, shape=(2, 64, 2048, 2048), dtype="u2", metadata={"axes": "CZYX"})
    print("| 1 GiB OME-TIFF | CPU s | peak MB | at the most |")
    print("| --- | ---: | ---: | ---: |")
    for name, (code, most) in OPENING.items():
        words = [sys.executable, "-c", f"import sys\npath = sys.argv[1]\n{code}"]
        took = measure([*(words if code else [BIN / "spimpack", "info"]), path])
        peak = took.peak_mib * 2**20 / 1e6
        print(f"| {name} | {took.cpu_s:.2f} | {peak:.0f} | {most or ''} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--planes", type=int, default=64, metavar="N")
    parser.add_argument("--side", type=int, default=1024, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--folder", help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        print(describe_machine(name), end="\n\n")
        # The peak of a process is at the least what its parent held.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            size = arguments.planes, arguments.side
            sources = pool.submit(write_sources, folder, *size).result()
        convert_all(sources, folder, arguments.rounds)
        look_at_a_gibibyte(folder)


if __name__ == "__main__":
    main()
