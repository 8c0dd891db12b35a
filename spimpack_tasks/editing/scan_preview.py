"""Shows what a scan of a folder would take, and writes it: as new files, or into an open manifest.

Unlike the command line, it looks at nothing outside of the roots that a user may see: a scan that
finds a link out of them can be shown, but not written, since writing reads headers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.editing.editor import open_manifest
from spimpack_tasks.editing.scan_update import add_scanned, known_images
from spimpack_tasks.errors import ConflictError, InputError, Problem, Report, SpimpackError
from spimpack_tasks.files.roots import check_within, is_within
from spimpack_tasks.model.entities import ENTITIES
from spimpack_tasks.scanning.folder_scan import FolderScanner
from spimpack_tasks.scanning.found import FoundImage
from spimpack_tasks.scanning.new_inputs import init_from_scan, scan_keys
from spimpack_tasks.scanning.options import ScanOptions, check_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.editing.editor import ManifestEditor
    from spimpack_tasks.editing.scan_update import ScanUpdate
    from spimpack_tasks.scanning.found import FoundPhoto, SkippedPath
    from spimpack_tasks.scanning.options import ScanRequest


@dataclass(frozen=True, slots=True)
class TakenPath:
    """A path that a scan takes, and the labels that it gives."""

    path: str
    """Below the scanned folder."""
    real_path: str
    labels: dict[str, str]
    """By entity, and by column of the participants table."""
    pattern: str
    notes: str


@dataclass(frozen=True, slots=True)
class ScanPreview:
    """Result of a scan that writes nothing."""

    taken: tuple[TakenPath, ...]
    skipped: tuple[SkippedPath, ...]
    report: Report

    @property
    def may_write(self) -> bool:
        """Whether the scan can be written."""
        return bool(self.taken) and not self.report.errors

    @property
    def columns(self) -> list[str]:
        """Entities and facts about subjects that a path gives."""
        given = {name for one in self.taken for name, text in one.labels.items() if text}
        entities = [entity.name for entity in ENTITIES if entity.name in given]
        return [*entities, *sorted(given - set(entities))]


def preview_folder(options: ScanOptions, roots: tuple[str, ...]) -> ScanPreview:
    """Return what a scan would take, and why it takes no other path; no header is read.

    Raises
    ------
    OutsideRootsError
        The folder, or the place of the manifest, lies outside the roots.
    """
    check_within(os.path.abspath(options.root), roots)
    check_within(os.path.abspath(options.directory), roots)
    report = Report()
    request = check_options(options, report)
    if report.errors:
        return ScanPreview((), (), report)
    result = FolderScanner(request, report).run()
    listed: list[FoundImage | FoundPhoto] = [*result.images, *result.photos]
    taken = tuple(_taken(request, one) for one in listed)
    paths = [path for image in result.images for path in image.paths]
    paths += [photo.path for photo in result.photos]
    report.extend(_outside(request, paths, roots))
    return ScanPreview(taken, tuple(result.skipped), report)


def _taken(request: ScanRequest, one: FoundImage | FoundPhoto) -> TakenPath:
    cells = request.about_images(request.defaults) | one.cells
    names = {entity.name for entity in ENTITIES}
    labels = {name: text for name, text in cells.items() if name in names}
    if isinstance(one, FoundImage):
        labels |= one.participant
    pattern = one.pattern if isinstance(one, FoundImage) else ""
    real_path = os.path.realpath(os.path.join(request.root, one.path))
    return TakenPath(one.path, real_path, labels, pattern, "; ".join(one.notes))


def _outside(request: ScanRequest, paths: list[str], roots: tuple[str, ...]) -> Iterator[Problem]:
    for path in paths:
        if not is_within(os.path.join(request.root, path), roots):
            message = "leads out of the folders that may be used here"
            hint = "leave it out by an exclusion, or name its folder with --root"
            yield Problem("source.outside-roots", request.place(path), "", message, hint)


def rules_of(editor: ManifestEditor) -> ScanOptions:
    """Return how the open manifest says that its images were found, as far as it says so."""
    said = editor.data.get("scan")
    said = said if isinstance(said, dict) else {}

    def listed(key: str) -> tuple[str, ...]:
        values = said.get(key)
        return tuple(map(str, values)) if isinstance(values, list) else ()

    folder = said.get("folder")
    return ScanOptions(
        root=os.path.normpath(os.path.join(editor.folder, folder))
        if isinstance(folder, str)
        else "",
        directory=editor.folder,
        patterns=listed("patterns"),
        levels=listed("levels"),
        excludes=listed("exclude"),
        settings=listed("set"),
        labels=listed("labels"),
        defaults=listed("default"),
    )


def is_known(editor: ManifestEditor, preview: ScanPreview) -> set[str]:
    """Return the paths of a preview whose images are in the open table."""
    known = known_images(editor)
    return {one.path for one in preview.taken if one.real_path in known}


def write_scan(options: ScanOptions, roots: tuple[str, ...]) -> tuple[ManifestEditor, list[str]]:
    """Write a new manifest and its tables, and return them, open, with lines for the user.

    Raises
    ------
    InputError
        The options are wrong, no image is found, images cannot be told apart, or one of them lies
        outside the roots.
    ConflictError
        A manifest or a table is there already. In all cases nothing was written.
    """
    _check(preview_folder(options, roots))
    lines, warnings = init_from_scan(options)
    editor = open_manifest(os.path.join(os.path.abspath(options.directory), "manifest.yml"), roots)
    return editor, [*map(str, warnings), *lines]


def add_to_open(editor: ManifestEditor, options: ScanOptions) -> ScanUpdate:
    """Add the images that no row has to the open tables, and keep the rules in the manifest.

    Raises
    ------
    SpimpackError
        As for `write_scan`. Nothing was edited then.
    """
    _check(preview_folder(options, editor.roots))
    before = dict(editor.files.edited), editor.files.base()
    try:
        keys = scan_keys(options, check_options(options, Report()))
        if editor.data.get("scan") != keys:
            editor.set_value(("scan",), keys)
        return add_scanned(editor, ScanOptions(root="", directory=editor.folder))
    except SpimpackError:
        editor.files.restore(*before)
        raise


def _check(preview: ScanPreview) -> None:
    if preview.report.errors:
        has_conflict = any(p.code.startswith("conflict.") for p in preview.report.errors)
        raise (ConflictError if has_conflict else InputError)(preview.report)
