"""What an alignment with an atlas of 25 µm costs: CPU time and memory of each step.

    python benchmarks/alignment.py [FOLDER] [--step-um 25] [--factor 4]

Template, labels with 1,300 regions, and displacements of both registrations have the size of the
Allen CCF; the image has 80 x 136 x 112 voxels times the factor along each side, and two channels.
All is generated. Each step is a process of its own, after the steps that it needs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import SimpleITK
from measuring import BIN, describe_machine, measure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
import alignment_root

CCF_MM = (11.4, 13.2, 8.0)
REGIONS = 1300


def make_inputs(folder: Path, step_um: float, factor: int) -> None:
    """Make a data root whose volumes have the size of those of the Allen CCF."""
    alignment_root.SHAPE_ZYX = tuple(n * factor for n in alignment_root.SHAPE_ZYX)
    alignment_root.SPACING_UM_ZYX = alignment_root.SPACING_UM_ZYX / factor
    root = alignment_root.make_root(folder)
    size = [round(side * 1000 / step_um) for side in CCF_MM]
    _write_atlas(folder, size, step_um / 1000)
    middle = root.registered(np.array(alignment_root.SHAPE_ZYX) / 2)
    at_template = root.first.point(middle[None])[0]
    first = folder / alignment_root.ASSET / "image_atlas_alignment" / alignment_root.CHANNELS[0]
    for registration, centre, prefix in (
        (root.first, at_template, first / "ls_to_template_SyN_"),
        (root.second, np.array([-5.7, 6.6, -4.0]), folder / "spim_template_to_ccf" / "syn_"),
    ):
        _write_field(registration, centre, size, step_um / 1000, f"{prefix}1InverseWarp.nii.gz")


def _write_atlas(folder: Path, size: list[int], step_mm: float) -> None:
    x, y, z = np.ogrid[: size[0], : size[1], : size[2]]
    template = (1000 + 3 * x + 5 * y + 2 * z).astype(np.uint16)
    blocks = (x * 13 // size[0]) * 100 + (y * 10 // size[1]) * 10 + z * 10 // size[2]
    labels = folder / "allen_mouse_ccf_annotations_lateralized_compact"
    for path, voxels in {
        folder / "allen_mouse_ccf/average_template/average_template_25.nii.gz": template,
        labels / "ccf_2017_annotation_25_lateralized_compact.nrrd": blocks.astype(np.uint16),
    }.items():
        image = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels.transpose(2, 1, 0)))
        image.SetSpacing([step_mm] * 3)
        image.SetDirection([-1, 0, 0, 0, 1, 0, 0, 0, -1])
        SimpleITK.WriteImage(image, str(path), useCompression=True, compressionLevel=1)
    ids = np.arange(REGIONS) - REGIONS // 2
    np.savez(labels / "ccf_2017_annotation_25_lateralized_unique_vals.npz", unique_labels=ids)


def _write_field(
    registration: alignment_root.Registration,
    centre: np.ndarray,
    size: list[int],
    step_mm: float,
    path: str,
) -> None:
    low = centre - np.array(size) * step_mm / 2
    axes = [low[n] + step_mm * np.arange(size[n]) for n in range(3)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    field = np.empty((*size[::-1], 3), np.float32)
    for n, (a, b, c) in enumerate(registration.gradient):
        values = a * x + b * y + c * z + registration.constant[n]
        # As coarse as a micrometre, so that it packs as well as a smooth field does.
        field[..., n] = np.round(values, 3).transpose(2, 1, 0)
    image = SimpleITK.GetImageFromArray(field, isVector=True)
    image.SetOrigin(low.tolist())
    image.SetSpacing([step_mm] * 3)
    SimpleITK.WriteImage(image, path, useCompression=True, compressionLevel=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=tempfile.gettempdir())
    parser.add_argument("--step-um", type=float, default=25.0)
    parser.add_argument("--factor", type=int, default=4)
    chosen = parser.parse_args()
    print(describe_machine(chosen.folder))
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        data = Path(name) / "data"
        # In a process of its own: a child begins with the memory of its parent.
        given = (data, chosen.step_um, chosen.factor)
        maker = get_context("spawn").Process(target=make_inputs, args=given)
        maker.start()
        maker.join()
        roots = ["--data-root", str(data), "--results-root", str(Path(name) / "results")]
        sorted_name = f"{alignment_root.RECORDING}.ProbeA.probe A"
        channel = alignment_root.CHANNELS[0]
        for step in (
            ["DiscoverAssets"],
            ["ProbeTrack", "--row", sorted_name],
            ["TrackRegions", "--row", sorted_name],
            ["ReorientHistology", "--channel", channel],
            ["WarpToImage", "--kind", "template"],
            ["WarpToImage", "--kind", "labels"],
            ["WarpToCCF", "--channel", channel],
            ["PrepareAlignment"],
        ):
            luigi = [BIN / "luigi", "--module", "spimpack_tasks", *step, "--local-scheduler"]
            used = measure([*luigi, *roots])
            title = " ".join(step[::2])
            print(f"{title:<40} {used.cpu_s:7.1f} s CPU {used.peak_mib:7.0f} MiB")


if __name__ == "__main__":
    main()
