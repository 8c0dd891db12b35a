"""Rules on what a run was asked to do: its options, its output directory, its backend."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

from spimpack_tasks.errors import Place, Problem, Severity
from spimpack_tasks.files.filesystems import device_of, file_system_of, nearest_directory
from spimpack_tasks.state.receipts import receipt_names
from spimpack_tasks.volumes.formats import Transfer
from spimpack_tasks.volumes.merged.form import find_format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.model.plan import Asset
    from spimpack_tasks.packaging.rules import RuleInput


_SPACE_FOR_SOURCES = ("sourcedata/", "derivatives/")
"""Folders in which BIDS lets data lie in any form (BIDS 1.10.0, "Source vs. raw vs. derived")."""

_AT_THE_TOP = re.compile(
    r"README(\.\w+)?|CHANGES|LICENSE(\.\w+)?|CITATION\.cff|dataset_description\.json"
    r"|(participants|samples|genetic_info)\.(tsv|json)"
    r"|code|derivatives|logs|phenotype|sourcedata|stimuli"
)
"""Names at the top of a dataset (BIDS schema 1.0, rules.files.common)."""

PICTURES = ("numpy", "PIL")
"""The modules that draw previews, of the extra `images`."""

_FOREIGN_HINT = "choose a folder of its own for the dataset, or list them in .bidsignore"
_STRAY_HINT = "remove them if an earlier run made them, or give them a row"
_NAMED = 3
"""Names shown in a message; the others are counted."""


def options_fit_the_backend(facts: RuleInput) -> Iterator[Problem]:
    """An option has an effect with the backend; what is wrong with its name is told before."""
    options, choice, hint = facts.options, facts.choice, "leave it out"
    if choice is None:
        return
    if options.relative_symlinks and not choice.backend.makes_symlinks:
        message = f"has no effect with the backend {options.backend}"
        place, key = facts.chosen.where("relative_symlinks")
        yield Problem("option.relative", place, key, message, hint, Severity.WARNING)
    if options.keep_source_links and not choice.backend.makes:
        message = f"has no effect with the backend {options.backend}, which converts nothing"
        place, key = facts.chosen.where("keep_source_links")
        yield Problem("option.source-links", place, key, message, hint, Severity.WARNING)


def chunks_can_be_chosen(facts: RuleInput) -> Iterator[Problem]:
    """The chunks of some formats are taken as they are."""
    choice = facts.choice
    if choice is None or choice.is_foreign or not {"chunk", "shard"} & choice.settings.keys():
        return
    for placed in facts.images:
        if placed.asset.source and find_format(placed.asset.format).transfer is not Transfer.VOXELS:
            message = f"keeps its chunks, which {choice.backend.name} takes as they are"
            hint = "leave out chunk and shard, or give it others later with spimpack rechunk"
            key = placed.path_column
            where = placed.record.where(key)
            yield Problem("backend.chunks", where, key, message, hint, Severity.WARNING)


def output_is_apart_from_sources(facts: RuleInput) -> Iterator[Problem]:
    """The output must not be a source, nor lie inside one."""
    if not facts.options.output_dir:
        return
    output = os.path.realpath(facts.options.output_dir)
    for placed in facts.assets:
        record, asset = placed
        for source, _ in asset.sources:
            if output == source or output.startswith(f"{source}/"):
                where = "is" if output == source else "lies inside"
                message = f"the output directory {where} this source"
                place, hint = record.where(placed.path_column), "choose another --output-dir"
                yield Problem("output.in-source", place, placed.path_column, message, hint)


def sources_are_apart_from_output(facts: RuleInput) -> Iterator[Problem]:
    """To publish the dataset is to publish all that lies in its folder."""
    if not facts.options.output_dir:
        return
    root = f"{os.path.realpath(facts.options.output_dir)}/"
    inside = [
        placed
        for placed in facts.assets
        if any(
            source.startswith(root) and not source[len(root) :].startswith(_SPACE_FOR_SOURCES)
            for source, _ in placed.asset.sources
        )
        and not _is_in_place(placed.asset)
    ]
    if inside:
        first = inside[0]
        sources = f"this and {len(inside) - 1} more sources" if inside[1:] else "this source"
        place, key = first.record.where(first.path_column), first.path_column
        message = f"the output directory holds {sources}"
        hint = "choose another --output-dir, or move the sources into its folder sourcedata"
        yield Problem("output.holds-sources", place, key, message, hint)


def _is_in_place(asset: Asset) -> bool:
    """Tell whether a source has the name of its image: what speaks against that is a conflict."""
    return os.path.basename(asset.source).partition(".")[0] == asset.key


def output_holds_nothing_else(facts: RuleInput) -> Iterator[Problem]:
    """Before a dataset is on record, its folder holds nothing that no table names."""
    output = facts.options.output_dir
    if not output or not os.path.isdir(output) or receipt_names(facts.store):
        return
    keys = {placed.asset.key for placed in facts.assets}
    line, key = Place("command line"), "--output-dir"
    for code, found, what, hint in (
        ("output.foreign", _foreign(output), "BIDS does not know", _FOREIGN_HINT),
        ("output.stray", _strays(output, keys), "belong to no row and are left", _STRAY_HINT),
    ):
        names = sorted(found)
        if names:
            some = ", ".join(map(repr, names[:_NAMED]))
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            message = f"holds {some}{more}, which {what}"
            yield Problem(code, line, key, message, hint, Severity.WARNING)


def _foreign(output: str) -> Iterator[str]:
    """Yield what BIDS does not know at the top of a dataset."""
    for name in os.listdir(output):
        if not name.startswith((".", "sub-")) and not _AT_THE_TOP.fullmatch(name):
            yield name


def _strays(output: str, keys: set[str]) -> Iterator[str]:
    """Yield what lies in the folders of subjects and is of none of the images."""
    pending = [name for name in os.listdir(output) if name.startswith("sub-")]
    while pending:
        path = pending.pop()
        name = path.rpartition("/")[2]
        whole = f"{output}/{path}"
        if name.partition(".")[0] in keys or name.endswith(("_scans.tsv", "_scans.json")):
            continue
        if os.path.isdir(whole) and not os.path.islink(whole) and "." not in name:
            pending += [f"{path}/{inner}" for inner in os.listdir(whole)]
        else:
            yield path


def output_can_be_made(facts: RuleInput) -> Iterator[Problem]:
    """The output is a directory, there or to be made, in which we may write."""
    output = facts.options.output_dir
    if not output or not facts.options.writes:
        return
    line, key = Place("command line"), "--output-dir"
    nearest = nearest_directory(output)
    real = os.path.realpath(output)
    is_source = any(
        real == path for _, asset in facts.assets for path, _ in asset.sources
    )  # told by another rule
    if nearest is None and not is_source:
        message, hint = f"{output!r} is not a directory", "choose another one"
        yield Problem("output.not-a-directory", line, key, message, hint)
    elif nearest is not None and not os.access(nearest, os.W_OK | os.X_OK):
        message, hint = f"{nearest!r} cannot be written", "choose another one"
        yield Problem("output.unwritable", line, key, message, hint)


def backend_takes_the_formats(facts: RuleInput) -> Iterator[Problem]:
    """An image that has no place in a dataset needs a backend that converts it."""
    if facts.choice is None:
        return
    for placed in facts.images:
        if placed.asset.source and not placed.asset.extension:
            what, name = find_format(placed.asset.format).name, facts.choice.backend.name
            message = f"is a {what}, which BIDS does not hold, and {name} does not convert it"
            if placed.asset.selection.reader:
                message = f"is read by {what}, so it must be converted, and {name} does not do that"
            key, hint = placed.path_column, "use --backend ome-zarr or ome-tiff"
            yield Problem("backend.format", placed.record.where(key), key, message, hint)


def backend_works_here(facts: RuleInput) -> Iterator[Problem]:
    """The backend suits the file systems of output and sources."""
    options = facts.options
    directory = nearest_directory(options.output_dir) if options.output_dir else None
    if directory is None or facts.choice is None:
        return
    backend, (at, option) = facts.choice.backend, facts.chosen.where("backend")
    missing = [name for name in backend.libraries if find_spec(name) is None]
    if missing:
        message = f"{backend.name} needs {', '.join(missing)}, which is not installed"
        hint = f"install it with: pip install 'spimpack_tasks[{backend.extra}]'"
        yield Problem("backend.extra", at, option, message, hint)
    missing = [name for name in PICTURES if options.previews and find_spec(name) is None]
    if missing:
        message = f"needs {', '.join(missing)}, which is not installed"
        hint = "install it with: pip install 'spimpack_tasks[images]'"
        yield Problem("backend.extra", *facts.chosen.where("previews"), message, hint)
    system = file_system_of(directory)
    if system in backend.impossible_on:
        message = f"{options.backend} cannot work on a {system} disk"
        hint = "use --backend copy"
        yield Problem("backend.impossible", at, option, message, hint)
    if backend.same_disk:
        device = os.stat(directory).st_dev
        for placed in facts.assets:
            if device_of(placed.asset.source) not in {device, None}:
                message = (
                    f"is on another disk than the output; {options.backend} cannot cross disks"
                )
                key, hint = placed.path_column, "use --backend symlink or copy"
                place = placed.record.where(key)
                yield Problem("backend.other-disk", place, key, message, hint)
