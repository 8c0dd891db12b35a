"""What a study costs besides its voxels, and how it scales with workers.

    python benchmarks/studies.py [--brains N] [--frames N] [--rows N]

Makes a study of some brains, each of two small tiles that become a volume, an image of the dataset
and a part of the page. It is run by 1, 2 and 3 workers, and once more with nothing to do. The cost
of a brain is the difference between all brains and one, by their number. From it and from the times
of real volumes, which a user has, follows what a study of 1,000 brains takes.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from measuring import BIN, Measurement, describe_machine, measure

ROWS = 64
"""Of a frame, which has half as many columns: so few that the cost of tasks is what is seen."""
WORKERS = (1, 2, 3)
MANY = 1000


def write_study(folder: Path, brains: int, frames: int, row_count: int = ROWS) -> Path:
    """Write tiles, tables of tiles and the study; all brains have links to the same two files."""
    random = np.random.default_rng(5)
    (folder / "tiles").mkdir(parents=True)
    for number in range(2):
        voxels = random.integers(100, 4000, (frames, row_count, row_count // 2), dtype="uint16")
        tifffile.imwrite(folder / f"tiles/{number}.ome.tif", voxels, metadata={"axes": "ZYX"})
    # Four fifths of a frame of 2 um a row.
    table = f"path\tx\ty\tz\n0.ome.tif\t0\t0\t0\n1.ome.tif\t0\t{1.6 * row_count:.0f}\t0\n"
    (folder / "tiles/tiles.tsv").write_text(table)
    stitch, rows = [], []
    for number in range(brains):
        stitch.append(
            f"    brain{number}: {{recording: tiles/tiles.tsv, pitch_um: 2, step_um: 2, "
            "angle_deg: 45, align: stage}"
        )
        rows.append(
            f'        - {{spim_path: "stitched:brain{number}", subject: "{number:04}", sample: '
            "brain, sample_staining: [DAPI], orientation_string_xyz: RPI}"
        )
    lines = [
        "stages:",
        "  stitch:",
        *stitch,
        "  package:",
        "    manifest:",
        "      dataset_description: {Name: Many, BIDSVersion: '1.10.0', DatasetType: raw,",
        "        License: CC0, Authors: [A. Author]}",
        "      datasets:",
        "      - dataset_id: many",
        "        assets:",
        *rows,
        "    output_dir: bids",
        "  report:",
    ]
    path = folder / "study.yml"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(study: Path, workers: int) -> Measurement:
    """Run a study as its user does."""
    return measure([BIN / "spimpack", "run", str(study), "--workers", str(workers)])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brains", type=int, default=12)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rows", type=int, default=ROWS)
    arguments = parser.parse_args()
    size = arguments.frames, arguments.rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(describe_machine(name))
        warm = write_study(folder / "warm", 1, *size)
        run(warm, 1)  # compiled loops and byte code are there from now on
        print(f"\n| brains | workers | CPU s | wall s | peak MiB |\n{'| ---: ' * 5}|")
        costs = {}
        for workers in WORKERS:
            study = write_study(folder / f"all{workers}", arguments.brains, *size)
            print(_row(arguments.brains, str(workers), found := run(study, workers)))
            costs[workers] = found
        again = run(study, 1)
        print(_row(arguments.brains, "1, nothing to do", again))
        shutil.rmtree(folder / "warm")
        one = run(single := write_study(folder / "one", 1, *size), 1)
        print(_row(1, "1", one))
        one_again = run(single, 1)
        print(_row(1, "1, nothing to do", one_again))
        more = max(arguments.brains - 1, 1)
        cost = (costs[1].cpu_s - one.cpu_s) / more
        idle = (again.cpu_s - one_again.cpu_s) / more
        print(f"\na brain: {cost:.2f} s of CPU besides its voxels, {idle:.3f} s with nothing to do")
        print(
            f"{MANY:,} brains: {cost * MANY / 60:.0f} min of CPU, shared by all workers; ", end=""
        )
        print(f"{idle * MANY:.0f} s with nothing to do")


def _row(brains: int, workers: str, found: Measurement) -> str:
    return (
        f"| {brains} | {workers} | {found.cpu_s:.1f} | {found.wall_s:.1f} | {found.peak_mib:.0f} |"
    )


if __name__ == "__main__":
    main()
