"""Writes `datapackage.json`, by which the alignment GUI finds all results of a brain.

Facts: the JSON Schema of version 4.1.0 of the public package, and its plain form 1.0.0.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment import names
from spimpack_tasks.alignment.ephys import channel_table, is_left_out
from spimpack_tasks.alignment.listed_paths import PATHS, local_paths
from spimpack_tasks.alignment.recording import record, write_text
from spimpack_tasks.alignment.registrations import pair_in
from spimpack_tasks.alignment.steps import track_files
from spimpack_tasks.alignment.transforms import load_sitk
from spimpack_tasks.alignment.volumes import ccf_channel_path, channel_path
from spimpack_tasks.errors import InputError, OutputError, count_of
from spimpack_tasks.files.locks import hold_folders
from spimpack_tasks.qc.dataset import dataset_above
from spimpack_tasks.version import __version__

if TYPE_CHECKING:
    from spimpack_tasks.alignment.chain import Chain
    from spimpack_tasks.alignment.manifest import ProbeRow
    from spimpack_tasks.alignment.transforms import AntsPair

_README = """# Alignment with an atlas

Histology, atlas and probe tracks for the alignment GUI of the IBL, made by spimpack_tasks. The GUI
finds all files by `datapackage.json` in the folder of each subject. BIDS has no names for them, so
`.bidsignore` lists these folders.
"""
_NO_FIELD = (2, 2, 2)
"""Voxels of displacements of zero, the fewest that programs read."""
_STEPS = ("image_to_template", "template_to_ccf")


def write_datapackage(chain: Chain) -> None:
    """Write the list of results and the list of gaps, when all results are there.

    Raises
    ------
    InputError
        A row has no track, and gaps are not allowed.
    OutputError
        A result is missing; the message names each.
    """
    if chain.gaps and not chain.choices.allow_partial:
        raise InputError(chain.full_report)
    identity = write_identity(chain) if len(chain.brain.pairs) == 1 else []
    data = compose_datapackage(chain)
    paths = [os.path.join(chain.folder, path) for path in local_paths(data)]
    paths += _paths_of_transforms(*_transforms(chain))
    missing = [path for path in paths if not os.path.exists(path)]
    if missing:
        lines = "\n".join(sorted(missing))
        message = f"datapackage.json would name {count_of(len(missing), 'missing file')}"
        raise OutputError(f"{message}; run it again:\n{lines}")
    texts = {names.DATAPACKAGE: data, names.COVERAGE: compose_coverage(chain)}
    for name, content in texts.items():
        write_text(os.path.join(chain.folder, name), json.dumps(content, indent=2) + "\n")
    if chain.choices.image:
        # Another brain may be at its end at the same time.
        with hold_folders([chain.choices.results_root]):
            _write_derivative(chain)
    record(chain, "datapackage", chain.package_id, [*texts, *identity])


def _write_derivative(chain: Chain) -> None:
    """Describe the results as a BIDS derivative; texts of a user stay as they are."""
    root = chain.choices.results_root
    for name, text in {"README.md": _README, ".bidsignore": "sub-*/\n"}.items():
        if not os.path.lexists(os.path.join(root, name)):
            write_text(os.path.join(root, name), text)
    description = json.dumps(describe_derivative(chain), indent=2) + "\n"
    write_text(os.path.join(root, names.DESCRIPTION), description)


def write_identity(chain: Chain) -> list[str]:
    """Write a registration that moves nothing, which the GUI needs where the template is the CCF.

    Its files are returned, below the folder of the brain.
    """
    sitk = load_sitk()
    pair = _identity_pair(chain)
    os.makedirs(os.path.dirname(pair.affine), exist_ok=True)
    # Temporary names keep their endings, which tell the formats.
    paths = (pair.affine, pair.inverse_warp)
    aside = [f"{os.path.dirname(path)}/.{os.path.basename(path)}" for path in paths]
    sitk.WriteTransform(sitk.AffineTransform(3), aside[0])
    sitk.WriteImage(sitk.Image(_NO_FIELD, sitk.sitkVectorFloat32), aside[1])
    for temporary, path in zip(aside, paths, strict=True):
        os.rename(temporary, path)
    return [os.path.relpath(path, chain.folder) for path in paths]


def _identity_pair(chain: Chain) -> AntsPair:
    return pair_in(os.path.join(chain.folder, names.REGISTRATION), names.IDENTITY)


def compose_coverage(chain: Chain) -> dict[str, Any]:
    """Return which rows have results, and why the others have none."""
    made = [{"row": row.key, "line": row.line} for row in chain.good_rows]
    unsorted = [
        {"row": row.key, "line": row.line} for row in chain.good_rows if is_left_out(chain, row)
    ]
    gaps = [problem.as_dict() for problem in chain.gaps]
    return {"made": made, "gaps": gaps} | ({"without_sorting": unsorted} if unsorted else {})


def describe_derivative(chain: Chain) -> dict[str, Any]:
    """Return the description of the results as a BIDS derivative, by the authors of the image."""
    authors, choices = chain.source_authors, chain.choices
    dataset = dataset_above(choices.image) or choices.data_root
    return {
        "Name": "Alignment with an atlas",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        **({"Authors": authors} if authors else {}),
        "GeneratedBy": [{"Name": names.PROGRAM, "Version": __version__}],
        "SourceDatasets": [{"URL": f"file://{dataset}"}],
    }


def compose_datapackage(chain: Chain) -> dict[str, Any]:
    """Return the list of results, in the version of the choices."""
    is_plain = chain.choices.datapackage_schema == names.SCHEMAS[1]
    probes: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in chain.good_rows:
        if not is_left_out(chain, row):
            table = None if is_plain else channel_table(chain, row)
            _add_row(probes[row.recording_id], row, table, has_ephys=chain.choices.wants_ephys)
    brain = chain.brain
    images = [channel.name for channel in brain.channels]
    image_space = {
        "registration": channel_path(chain, images[0]),
        "registration_pipeline_geometry": names.PIPELINE_GEOMETRY,
        "ccf_template": f"{names.IMAGE_SPACE}/{names.CCF_IN_IMAGE}.nrrd",
        "labels": f"{names.IMAGE_SPACE}/{names.LABELS_IN_IMAGE}.nrrd",
        "additional_channels": [channel_path(chain, name) for name in images[1:]],
    }
    in_ccf = [ccf_channel_path(name) for name in images] if chain.choices.qc else []
    histology = {"image_space": image_space, "ccf_space": {"additional_channels": in_ccf}}
    assets, transforms = _transforms(chain)
    data = {
        "schema_version": chain.choices.datapackage_schema,
        "mouse_id": chain.rows[0].mouse_id,
        "platform": "local",
        "external_assets": assets,
        "transforms": transforms,
        "histology": histology if is_plain else _as_references(histology),
        "probes": probes if is_plain else _as_references(probes),
    }
    if is_plain:
        flat = {name: e for found in probes.values() for name, e in found.items()}
        plain = zip(transforms, _paths_of_transforms(assets, transforms), strict=True)
        data |= {"probes": flat, "transforms": dict(plain)}
        del data["external_assets"], data["platform"]
    return data


def _as_references(value: Any, key: str = "") -> Any:
    """Return a value in which each path is an object that names no asset."""
    if isinstance(value, dict):
        return {name: _as_references(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_references(each, key) for each in value]
    return {"asset": None, "path": value} if key in PATHS and isinstance(value, str) else value


def _add_row(
    probes: dict[str, Any], row: ProbeRow, channels: dict[str, str] | None, *, has_ephys: bool
) -> None:
    files = track_files(row)
    probe = probes.setdefault(
        row.collection,
        {
            "probe_id": row.track_id,
            "logical_probe": row.logical_probe,
            "ephys_collection": row.collection,
            "num_shanks": 0,
            "ephys": f"{row.recording_id}/{row.collection}" if has_ephys else None,
            **({"channel_table": channels} if channels else {}),
            "xyz_picks": [],
        },
    )
    probe["num_shanks"] += 1
    probe["xyz_picks"].append(
        {
            "shank": None if row.ephys_shank is None else row.ephys_shank + 1,
            "histology_track_id": row.track_id,
            "histology_shank": row.histology_shank,
            "ephys_shank": row.ephys_shank,
            "ccf": files["ccf"],
            "image_space": files["image_space"],
        }
    )


def _transforms(chain: Chain) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the folders of transformations by name, and the files in them."""
    pairs = chain.brain.pairs
    if len(pairs) == 1:
        pairs = (*pairs, _identity_pair(chain))
    asset, folder = chain.brain.asset, os.path.dirname(pairs[0].affine)
    is_own = not chain.choices.image and folder.startswith(f"{asset}/")
    own = ("smartspim", "smartspim_registration", asset)
    given = ("registration", "registration_override", folder)
    ccf_folder = os.path.dirname(pairs[-1].affine)
    records = (own if is_own else given, ("spim_template_to_ccf", "template_to_ccf", ccf_folder))
    assets, transforms = {}, {}
    for (key, role, root), step, pair in zip(records, _STEPS, (pairs[0], pairs[-1]), strict=True):
        provenance = {"mounted_at": root, "on": "local"}
        assets[key] = {"role": role, "name": os.path.basename(root), "provenance": provenance}
        for kind, path in (("affine", pair.affine), ("warp", pair.inverse_warp)):
            transforms[f"{step}_{kind}"] = {"asset": key, "path": os.path.relpath(path, root)}
    return assets, transforms


def _paths_of_transforms(assets: dict[str, Any], transforms: dict[str, Any]) -> list[str]:
    """Return the absolute paths of transformations, in their order."""
    roots = {name: each["provenance"]["mounted_at"] for name, each in assets.items()}
    return [os.path.join(roots[each["asset"]], each["path"]) for each in transforms.values()]
