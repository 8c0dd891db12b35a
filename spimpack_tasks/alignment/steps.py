"""Makes the outputs of each step, and records them last."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment import names
from spimpack_tasks.alignment.chain import describe_inputs
from spimpack_tasks.alignment.checks import find_doubts
from spimpack_tasks.alignment.picks import (
    ccf_to_bregma_um,
    compose_fcsv,
    compose_picks,
    image_to_ras_um,
)
from spimpack_tasks.alignment.regions import compose_regions, find_regions
from spimpack_tasks.alignment.transforms import (
    image_map,
    image_on,
    load_sitk,
    map_points,
    point_map,
    read_image,
    read_image_grid,
    read_label_ids,
    resample,
    resample_labels,
    turn,
    turned_grid,
    with_grid,
)
from spimpack_tasks.errors import InputError, Problem, Report, Severity
from spimpack_tasks.files.atomic import Durability, replacing
from spimpack_tasks.volumes.source_errors import as_os_errors
from spimpack_tasks.volumes.volume import open_volume

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.alignment.brain import ChannelImage
    from spimpack_tasks.alignment.chain import Chain
    from spimpack_tasks.alignment.geometry import Grid
    from spimpack_tasks.alignment.manifest import ProbeRow


def write_text(path: str, text: str) -> None:
    """Write a text that is whole once it has its name."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with replacing(path, Durability.SAFE) as aside:
        aside.file.write(text.encode())


def write_volume(path: str, image: Any) -> None:
    """Write a volume as compressed NRRD that is whole once it has its name."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with replacing(path, Durability.SAFE) as aside:
        writer = load_sitk().ImageFileWriter()
        # The temporary name does not tell the format.
        writer.SetImageIO("NrrdImageIO")
        writer.SetFileName(aside.file.name)
        writer.UseCompressionOn()
        writer.Execute(image)


def record(chain: Chain, step: str, identity: str, files: list[str], **facts: Any) -> None:
    """Record the outputs of a step with their sizes; before that they do not count."""
    sizes = {name: os.stat(os.path.join(chain.folder, name)).st_size for name in sorted(files)}
    data = {"made_from": identity, "files": sizes, **facts}
    write_text(chain.state_path(step), json.dumps(data, indent=2, sort_keys=True) + "\n")


def validate(chain: Chain) -> None:
    """Record that the inputs are right, with the problems of rows.

    Raises
    ------
    InputError
        Something is wrong that concerns more than one row.
    """
    report = check_all(chain)
    problems = [problem.as_dict() for problem in report.sorted()]
    passed = not report.errors
    record(chain, "validation", chain.package_id, [], passed=passed, problems=problems)


def check_all(chain: Chain) -> Report:
    """Return the problems of rows, and all warnings.

    Raises
    ------
    InputError
        Something is wrong that concerns more than one row.
    """
    chain.require_inputs()
    report = chain.full_report
    doubts = [*find_doubts(chain)]
    report.extend(doubts)
    if any(doubt.severity is Severity.ERROR for doubt in doubts):
        raise InputError(report)
    return report


def describe_assets(chain: Chain) -> None:
    """Record the brain as it was found."""
    facts = json.loads(describe_inputs(chain))
    record(chain, "assets", chain.assets_id, [], brain=facts)


# Volumes


def reorient_channel(chain: Chain, name: str) -> None:
    """Write a channel in the order of axes of the GUI, and the grid of the registration.

    Raises
    ------
    OSError
        The image is damaged, or the disk does not take the volume.
    """
    brain = chain.brain
    channel = next(each for each in brain.channels if each.name == name)
    image = turn(image_on(brain.base(), _read_channel(channel, brain.level)))
    files = [channel_path(chain, name)]
    write_volume(os.path.join(chain.folder, files[0]), image)
    if channel is brain.channels[0]:
        files.append(names.PIPELINE_GEOMETRY)
        text = compose_geometry(turned_grid(brain.registered()))
        write_text(os.path.join(chain.folder, names.PIPELINE_GEOMETRY), text)
    record(chain, f"channel_{name}", chain.channel_id(name), files)


def channel_path(chain: Chain, name: str) -> str:
    """Return the file of a channel, below the folder of the brain."""
    is_first = name == chain.brain.channels[0].name
    return f"{names.IMAGE_SPACE}/{names.REGISTRATION_NAME if is_first else name}.nrrd"


def _read_channel(channel: ChannelImage, level: int) -> Any:
    """Return the voxels z, y, x of a channel."""
    with as_os_errors(), open_volume(channel.path, "OME-Zarr") as volume:
        stored = volume.levels[level]
        whole = [slice(0, n) for n in stored.shape]
        whole[0], whole[1] = slice(0, 1), slice(channel.index, channel.index + 1)
        return stored.read(tuple(whole))[0, 0]


def compose_geometry(grid: Grid) -> str:
    """Return the JSON that tells a grid without voxels, as the GUI reads it."""
    header = {
        "origin": grid.origin_mm_lps,
        "spacing": grid.spacing_mm_xyz,
        "direction": grid.direction,
        "size_ijk": grid.size_xyz,
    }
    data = {
        "schema": "anatomical-header/1",
        "space": "left-posterior-superior",
        "units": "millimeter",
        "header": header,
    }
    return json.dumps(data, indent=2) + "\n"


def warp_to_image(chain: Chain, kind: str) -> None:
    """Write the template or the labels of the atlas in the space of the image.

    Places are mapped in the frame of the registration; the volume lies like the image.

    Raises
    ------
    AtlasFileError
        A volume or a transformation is damaged.
    """
    brain, choices = chain.brain, chain.choices
    grid, transform = turned_grid(brain.registered()), point_map(brain.pairs)
    if kind == "labels":
        ids = read_label_ids(choices.label_ids)
        image = resample_labels(read_image(choices.ccf_labels), ids, grid, transform)
        name = names.LABELS_IN_IMAGE
    else:
        sitk = load_sitk()
        warped = resample(read_image(choices.ccf_template), grid, transform)
        image, name = sitk.Clamp(warped, sitk.sitkUInt16, 0, 65535), names.CCF_IN_IMAGE
    path = f"{names.IMAGE_SPACE}/{name}.nrrd"
    write_volume(os.path.join(chain.folder, path), with_grid(image, turned_grid(brain.base())))
    record(chain, name, chain.volume_id(kind), [path])


def ccf_channel_path(name: str) -> str:
    """Return the file of a channel in the space of the CCF, below the folder of the brain."""
    return f"{names.CCF_SPACE}/histology_{name}.nrrd"


def warp_to_ccf(chain: Chain, name: str) -> None:
    """Write a channel on the grid of the atlas."""
    brain = chain.brain
    channel = next(each for each in brain.channels if each.name == name)
    moving = image_on(brain.registered(), _read_channel(channel, brain.level))
    grid = read_image_grid(chain.choices.ccf_template)
    image = turn(resample(moving, grid, image_map(brain.pairs)))
    path = ccf_channel_path(name)
    write_volume(os.path.join(chain.folder, path), image)
    record(chain, f"ccf_{name}", chain.ccf_channel_id(name), [path])


# Tracks


def track_files(row: ProbeRow) -> dict[str, str]:
    """Return the files of a track by their kind, below the folder of the brain."""
    folder = f"{row.recording_id}/{row.collection}"
    name, shank = f"{row.track_id}{row.shank_suffix}", row.shank_suffix
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
    return {
        "spim": [brain.base(0).place(index) for index in indices],
        "template": map_points(point_map(brain.pairs[:1]), places),
        "ccf": map_points(point_map(brain.pairs), places),
    }


def make_track(chain: Chain, key: str) -> None:
    """Write the points of a row, for the GUI and for 3D Slicer.

    Raises
    ------
    InputError
        The row has no track.
    """
    row = chain.row(key)
    points, files = points_of(chain, row), track_files(row)
    ccf = compose_picks(ccf_to_bregma_um(points["ccf"]))
    image = compose_picks(image_to_ras_um(points["spim"]))
    name = f"{row.track_id}{row.shank_suffix}"
    texts = {"ccf": ccf, "bregma_ccf": ccf, "image_space": image, "bregma_image_space": image}
    texts |= {kind: compose_fcsv(points[kind], name) for kind in ("spim", "template")}
    texts["ccf_fcsv"] = compose_fcsv(points["ccf"], name)
    _write_all(chain, {files[kind]: text for kind, text in texts.items()})
    facts = asdict(row) | {"recording_id": row.recording_id}
    record(chain, f"track_{key}", chain.track_id(row), [*files.values()], row=facts)


def _write_all(chain: Chain, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        write_text(os.path.join(chain.folder, name), text)


def regions_path(row: ProbeRow) -> str:
    """Return the table of regions of a row, below the folder of the brain."""
    return f"{row.recording_id}/{row.collection}/regions{row.shank_suffix}.tsv"


def make_regions(chain: Chain, key: str) -> None:
    """Write the regions along a track.

    Raises
    ------
    InputError, AtlasFileError
        The row has no track, or the labels cannot be read.
    """
    row = chain.row(key)
    places = points_of(chain, row)["ccf"]
    labels = read_image(chain.choices.ccf_labels)
    found = find_regions(places, labels, read_label_ids(chain.choices.label_ids))
    path = regions_path(row)
    write_text(os.path.join(chain.folder, path), compose_regions(found))
    record(chain, f"regions_{key}", chain.regions_id(row), [path])
