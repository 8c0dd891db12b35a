"""The demo study: what a microscope has recorded of a brain, and a study that makes all of it.

    study.yml          the study, by which the folder is known to be a demo's
    participants.tsv   of the dataset
    raw/               tiles as OME-TIFF, and a table of them for each channel
    alignment/         atlas, registration, and annotated probes
    store/             data of the object store, which its server writes

All files are whole under their names. A file that is there is left as it is.
"""

from __future__ import annotations

import os
import re
import uuid
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from spimpack_tasks.demo.atlas import PROBES, WRITERS, compose_annotation, compose_probe_table
from spimpack_tasks.demo.brain import STAINS
from spimpack_tasks.demo.specimen import (
    ANGLE_DEG,
    ORIENTATION_XYZ,
    PITCH_UM,
    STEP_UM,
    TILES,
    record_tile,
)
from spimpack_tasks.errors import OccupiedError
from spimpack_tasks.files.atomic import write_at
from spimpack_tasks.volumes.header import load_library

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STUDY = "study.yml"
BUCKET = "lab"
REGISTERED = next(iter(STAINS))
"""The channel that the atlas is registered with."""
_MARK = "# The study of `spimpack demo --study`"
_PORT = re.compile(r"^ +endpoint_url: http://127\.0\.0\.1:(\d{1,5})$", re.MULTILINE)
_SEARCH_UM = 400
"""Five pixels: more than the error of the demo's stage."""
_VOLUME_UM = 120
"""Voxels of the volumes in atlas space: the second level of the image, an eighth of the voxels."""
_PARTICIPANTS = "participant_id\tspecies\tage\tsex\nsub-01\tmus musculus\t0.2\tF\n"
_HEAD = f"""\
{_MARK}: from the tiles of a microscope to a published dataset.
# Paths are relative to this file. Change something, then: spimpack plan {STUDY}
name: Demo brain
stages:
  stitch:
"""
_CHANNEL = """\
    brain/{name}:
      recording: raw/{name}.tsv
      pitch_um: {pitch}
      step_um: {step!r}
      angle_deg: {angle}
      search_um: {search}
      channel_name: {name}
"""
_PACKAGE = """\
  package:
    output_dir: bids
    backend: symlink
    relative_symlinks: true
    manifest:
      dataset_description:
        Name: spimpack demo study
        BIDSVersion: 1.10.0
        HEDVersion: 8.3.0
        DatasetType: raw
        License: CC0
        Authors: [Ada Example, Ben Example]
        SourceDatasets: [{URL: ../raw}]
      participants_tsv: participants.tsv
      sidecar_defaults:
        Magnification: 4
        NumericalAperture: 0.28
        Manufacturer: Example Optics
        ManufacturersModelName: Oblique 45
        DeviceSerialNumber: "0001"
        StationName: spim1
        SoftwareVersions: 1.2.3
        InstitutionName: Example University
        InstitutionAddress: 1 Example Road
        InstitutionalDepartmentName: Microscopy
        BodyPart: BRAIN
        BodyPartDetails: whole brain
        SampleEnvironment: ex vivo
        SamplePrimaryAntibody: n/a
        SampleSecondaryAntibody: n/a
      datasets:
        - dataset_id: brain
          assets:
"""
_ASSET = """\
            - spim_path: stitched:brain/{name}
              subject: "01"
              sample: brain
              stain: {name}
              sample_staining: [{name}]
              orientation_string_xyz: {orientation}
              acq_time: 2026-01-01T10:00:00
"""
_ALIGN = f"""\
  align:
    brain:
      data_root: alignment
      results_root: derivatives/alignment
      manifest: probes.csv
      image: bids/sub-01/micr/sub-01_sample-brain_stain-{REGISTERED}_SPIM.ome.zarr
      image_to_template_dir: registration
      template_to_ccf_dir: none
      ccf_template: atlas/template.nii.gz
      ccf_labels: atlas/labels.nrrd
      label_ids: atlas/labels.npz
      desired_voxel_size_um: {_VOLUME_UM}
      skip_ephys: true
  validate:
    datasets: [bids, derivatives/alignment]
"""
_PUBLISH = """\
  publish:
    # This store runs as long as `spimpack demo DIR --study` does, which makes what has changed as
    # well. `spimpack run` needs a store of yours: its url, endpoint_url and credentials.
    store:
      url: s3://{bucket}/brain
      endpoint_url: http://127.0.0.1:{port}
"""
_REPORT = "  report:\n"


def compose_study(port: int | None) -> str:
    """Return the text of the study.

    Parameters
    ----------
    port
        Of the object store on this machine; without one, nothing is published.
    """
    values = {"pitch": PITCH_UM, "step": STEP_UM, "angle": ANGLE_DEG, "search": _SEARCH_UM}
    channels = (_CHANNEL.format(name=name, **values) for name in STAINS)
    assets = (_ASSET.format(name=name, orientation=ORIENTATION_XYZ) for name in STAINS)
    publish = "" if port is None else _PUBLISH.format(bucket=BUCKET, port=port)
    return "".join([_HEAD, *channels, _PACKAGE, *assets, _ALIGN, publish, _REPORT])


def find_port(path: Path) -> int | None:
    """Return the port of the object store that a study names, `None` if it names none."""
    found = _PORT.search(path.read_text(encoding="utf-8"))
    return int(found[1]) if found else None


def write_brain_study(directory: Path, choose_port: Callable[[], int] | None) -> Path:
    """Write the study and its inputs that are not there yet, and return the path of the study.

    Parameters
    ----------
    directory
        Where; made if it is not there.
    choose_port
        Chooses the port of an object store, for a study that has none. Without it, nothing is
        published.

    Raises
    ------
    OccupiedError
        The directory holds something else.
    MissingExtraError
        A library is not installed; nothing was written.
    """
    for name in ("numpy", "tifffile", "SimpleITK"):
        load_library(name, "demo")
    path = directory / STUDY
    require_own(directory)
    directory.mkdir(parents=True, exist_ok=True)
    # The study comes first: it marks the folder as a demo's, also if this is killed later.
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if not text or (choose_port and text == compose_study(None)):
        write_at(str(path), compose_study(choose_port() if choose_port else None).encode())
    _write_text(directory / "participants.tsv", _PARTICIPANTS)
    for name in STAINS:
        _write_channel(directory / "raw", name)
    _write_alignment(directory / "alignment")
    return path


def require_own(directory: Path) -> None:
    """Refuse a directory that holds something else than a demo study.

    Raises
    ------
    OccupiedError
        It does.
    """
    path = directory / STUDY
    is_taken = directory.exists() and (not directory.is_dir() or any(directory.iterdir()))
    if is_taken and not (path.is_file() and path.read_bytes().startswith(_MARK.encode())):
        message = f"{directory} is not empty and holds no demo study; choose another directory"
        raise OccupiedError(message)


def _write_channel(folder: Path, name: str) -> None:
    """Write the tiles of a channel, and the table of them."""
    rows = ["path\tx\ty\tz"]
    for number, tile in enumerate(TILES):
        path = folder / f"{name}_{number}.ome.tif"
        rows.append("\t".join([path.name, *(f"{place:g}" for place in tile.stage_um_xyz)]))
        if not path.exists():
            _write_aside(path, partial(_write_tiff, frames=record_tile(tile, name)))
    _write_text(folder / f"{name}.tsv", "\n".join(rows) + "\n")


def _write_tiff(path: Path, frames: Any) -> None:
    sizes = dict(zip("ZYX", (STEP_UM, PITCH_UM, PITCH_UM), strict=True))
    # Otherwise a random one is drawn, and no two demos have equal files.
    identity = uuid.uuid5(uuid.NAMESPACE_URL, blake2b(frames.tobytes()).hexdigest())
    metadata: dict[str, Any] = {"axes": "ZYX", "UUID": str(identity)}
    metadata |= {f"PhysicalSize{axis}": size for axis, size in sizes.items()}
    metadata |= {f"PhysicalSize{axis}Unit": "µm" for axis in sizes}
    tiff = load_library("tifffile", "demo")
    tiff.imwrite(path, frames, ome=True, photometric="minisblack", metadata=metadata)


def _write_alignment(folder: Path) -> None:
    """Write atlas, registration and probes."""
    for name, write in WRITERS.items():
        if not (folder / name).exists():
            _write_aside(folder / name, write)
    for probe in PROBES:
        _write_text(folder / "notes" / f"{probe.name}.json", compose_annotation(probe))
    _write_text(folder / "probes.csv", compose_probe_table())


def _write_text(path: Path, text: str) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_at(str(path), text.encode())


def _write_aside(path: Path, write: Callable[[Path], None]) -> None:
    """Let a library write a file under a hidden name with the same ending, and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}")
    write(aside)
    os.rename(aside, path)
