"""Makes the outputs of each step, and records them last."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment import names
from spimpack_tasks.alignment.atlas import read_atlas_labels
from spimpack_tasks.alignment.chain import describe_inputs
from spimpack_tasks.alignment.checks import find_doubts
from spimpack_tasks.alignment.ephys import check_recordings
from spimpack_tasks.alignment.picks import (
    ccf_to_bregma_um,
    compose_fcsv,
    compose_picks,
    image_to_ras_um,
)
from spimpack_tasks.alignment.recording import hold_step, record, write_text
from spimpack_tasks.alignment.regions import compose_regions, find_regions
from spimpack_tasks.alignment.warps import point_map
from spimpack_tasks.errors import InputError, OutputError, Problem, Report, Severity
from spimpack_tasks.files.json_files import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.alignment.chain import Chain
    from spimpack_tasks.alignment.manifest import ProbeRow


def validate(chain: Chain) -> None:
    """Record that the inputs are right, with the problems of rows.

    Raises
    ------
    InputError
        Something is wrong that concerns more than one row.
    """
    report = check_all(chain)
    problems = [problem.as_dict() for problem in report.sorted()]
    passed, identity = not report.errors, chain.package_id
    # The lock is a file, which nothing may write into a folder before it is checked.
    with hold_step(chain, "validation"):
        record(chain, "validation", identity, [], passed=passed, problems=problems)


def check_all(chain: Chain) -> Report:
    """Return the problems of rows, and all warnings.

    Raises
    ------
    InputError
        Something is wrong that concerns more than one row.
    """
    chain.require_inputs()
    report = chain.full_report
    doubts = [*find_doubts(chain), *check_recordings(chain)]
    report.extend(doubts)
    if any(doubt.severity is Severity.ERROR for doubt in doubts):
        raise InputError(report)
    return report


def describe_assets(chain: Chain) -> None:
    """Record the brain as it was found."""
    facts = json.loads(describe_inputs(chain))
    record(chain, "assets", chain.assets_id, [], brain=facts)


def track_files(row: ProbeRow) -> dict[str, str]:
    """Return the files of a track by their kind, below the folder of the brain."""
    folder = f"{row.recording_id}/{row.collection}"
    name, shank = row.track_name, row.shank_suffix
    return {
        "ccf": f"{folder}/xyz_picks{shank}.json",
        "image_space": f"{folder}/xyz_picks{shank}_image_space.json",
        "bregma_ccf": f"{names.TRACKS}/bregma_xyz/{name}_ccf.json",
        "bregma_image_space": f"{names.TRACKS}/bregma_xyz/{name}_image_space.json",
        **{kind: f"{names.TRACKS}/{kind}/{name}.fcsv" for kind in ("spim", "template")},
        "ccf_fcsv": f"{names.TRACKS}/ccf/{name}.fcsv",
    }


def points_of(chain: Chain, row: ProbeRow) -> dict[str, list[tuple[float, float, float]]]:
    """Return the points of a row in the spaces of image, template and CCF, LPS in mm.

    Raises
    ------
    InputError
        The row has no track.
    """
    track = chain.track(row)
    if isinstance(track, Problem):
        raise InputError(Report([track]))
    brain = chain.brain
    indices = [(x, y, z) for z, y, x in track.index_zyx]
    places = [brain.registered(0).place(index) for index in indices]
    spim = [brain.base(0).place(index) for index in indices]
    with point_map(brain.pairs[:1]) as to_template, point_map(brain.pairs[1:]) as to_ccf:
        template = to_template.points(places)
        return {"spim": spim, "template": template, "ccf": to_ccf.points(template)}


def make_track(chain: Chain, key: str) -> None:
    """Write the points of a row, for the GUI and for 3D Slicer.

    Raises
    ------
    InputError
        The row has no track.
    """
    row = chain.row(key)
    points, files = points_of(chain, row), track_files(row)
    ccf = compose_picks(ccf_to_bregma_um(points["ccf"], chain.choices.bregma_um))
    image = compose_picks(image_to_ras_um(points["spim"]))
    name = row.track_name
    texts = {"ccf": ccf, "bregma_ccf": ccf, "image_space": image, "bregma_image_space": image}
    texts |= {kind: compose_fcsv(points[kind], name) for kind in ("spim", "template")}
    texts["ccf_fcsv"] = compose_fcsv(points["ccf"], name)
    _write_all(chain, {files[kind]: text for kind, text in texts.items()})
    facts = asdict(row) | {"recording_id": row.recording_id}
    step, identity = f"track_{key}", chain.track_id(row)
    record(chain, step, identity, [*files.values()], row=facts, ccf_mm_lps=points["ccf"])


def _write_all(chain: Chain, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        write_text(os.path.join(chain.folder, name), text)


def regions_path(row: ProbeRow) -> str:
    """Return the table of regions of a row, below the folder of the brain."""
    return f"{row.recording_id}/{row.collection}/regions{row.shank_suffix}.tsv"


def make_regions(chain: Chain, key: str) -> None:
    """Write the regions along a track, whose points the step of the track has recorded.

    Raises
    ------
    AtlasFileError
        The labels cannot be read.
    OutputError
        The track is not recorded.
    """
    row = chain.row(key)
    path = chain.state_path(f"track_{key}")
    recorded: dict[str, Any] = read_json(path, dict, {})
    places = recorded.get("ccf_mm_lps")
    if not places:
        raise OutputError(f"{path}: has no points; run it again")
    labels = read_atlas_labels(chain.choices.ccf_labels, chain.choices.label_ids)
    found = find_regions(places, labels, chain.choices.bregma_um)
    path = regions_path(row)
    write_text(os.path.join(chain.folder, path), compose_regions(found, chain.structures))
    record(chain, f"regions_{key}", chain.regions_id(row), [path])
