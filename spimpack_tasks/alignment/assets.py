"""Replaces folders of registrations by those that the table of probes names."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.alignment import names
from spimpack_tasks.errors import Place, Problem, Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.alignment.choices import Choices
    from spimpack_tasks.alignment.manifest import ProbeRow


def with_assets(choices: Choices, rows: Sequence[ProbeRow], report: Report) -> Choices:
    """Return choices with the folders of `registration_asset` and `template_to_ccf_asset`.

    A registration from elsewhere must say by its sidecar where its images lay: the frame of the
    importer would be a guess.

    Parameters
    ----------
    choices
        Those of the user.
    rows
        The table of probes.
    report
        Takes what is missing, and what contradicts an option.
    """
    first = rows[0] if rows else None
    if first is None or not first.registration_asset:
        return choices
    place, key = Place(choices.manifest, first.line), "registration_asset"
    for option in ("registrar", "image_to_template_dir"):
        if choices.is_registered_here if option == "registrar" else choices.image_to_template_dir:
            message, hint = f"is given besides the option {option}", "give one of them"
            report.add(Problem("alignment.manifest", place, key, message, hint))
            return choices
    folder = os.path.join(choices.data_root, first.registration_asset)
    if not _has_folder(folder, place, key, report):
        return choices
    known = names.IMAGE_TO_TEMPLATE_SIDECARS
    if not any(os.path.isfile(os.path.join(folder, name)) for name in known):
        message = f"has no {' or '.join(known)}, which tells where its images lay"
        hint = "write one beside its files"
        report.add(Problem("alignment.transform", Place(folder), key, message, hint))
    changed = replace(choices, image_to_template_dir=folder)
    if first.template_to_ccf_asset:
        to_ccf = os.path.join(choices.data_root, first.template_to_ccf_asset)
        if _has_folder(to_ccf, place, "template_to_ccf_asset", report):
            changed = replace(changed, template_to_ccf_dir=to_ccf)
    return changed


def _has_folder(folder: str, place: Place, key: str, report: Report) -> bool:
    if os.path.isdir(folder):
        return True
    message, hint = f"{folder} is no folder", "copy the asset to the data root"
    report.add(Problem("alignment.manifest", place, key, message, hint))
    return False
