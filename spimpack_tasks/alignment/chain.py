"""The steps of an alignment: their inputs, their outputs, and their identities.

An identity is a digest of files with size and time, and of the choices that matter. A step writes
it last, with the sizes of its files, so a changed input repeats the steps that depend on it, and
no others. Tracks need headers and transformations alone, never a volume.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment import names
from spimpack_tasks.alignment.annotations import find_annotations, read_track
from spimpack_tasks.alignment.assets import with_assets
from spimpack_tasks.alignment.atlas import read_atlas_grid, read_structures
from spimpack_tasks.alignment.brain import Brain, find_brain
from spimpack_tasks.alignment.choices import NONE, Choices, choices_of
from spimpack_tasks.alignment.manifest import ProbeRow, parse_manifest
from spimpack_tasks.errors import InputError, Place, Problem, Report
from spimpack_tasks.files.digests import digest_values
from spimpack_tasks.files.json_files import read_json
from spimpack_tasks.files.stamps import stamp_folder, stamp_text
from spimpack_tasks.qc.dataset import dataset_above

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spimpack_tasks.alignment.atlas import Structure
    from spimpack_tasks.alignment.geometry import Grid
    from spimpack_tasks.alignment.neuroglancer import TrackPoints

FORM = 2
"""Raised when equal inputs give other outputs than before."""
PAGE = 1
"""Raised when equal results give another page than before."""


@dataclass(frozen=True)
class Chain:
    """The steps for some choices.

    Raises
    ------
    InputError
        By each property that needs inputs which are wrong, with all problems.
    """

    choices: Choices

    @cached_property
    def report(self) -> Report:
        """All problems of the inputs; those of rows are in `row_problems`."""
        return self._inputs[0]

    @cached_property
    def _inputs(self) -> tuple[Report, tuple[ProbeRow, ...], Brain | None]:
        report = Report()
        rows: tuple[ProbeRow, ...] = ()
        if not os.path.isdir(self.choices.data_root):
            place, hint = Place(self.choices.data_root), "give the folder of all inputs"
            report.add(Problem("alignment.asset", place, "data_root", "is no folder", hint))
            return report, rows, None
        try:
            with open(self.choices.manifest, encoding="utf-8-sig", newline="") as file:
                rows = parse_manifest(file.read(), self.choices.manifest, report)
        except (OSError, UnicodeDecodeError) as error:
            place, hint = Place(self.choices.manifest), "give a table of probes as CSV in UTF-8"
            message = f"cannot be read: {getattr(error, 'strerror', '') or error}"
            report.add(Problem("alignment.manifest", place, "", message, hint))
        choices = with_assets(self.choices, rows, report)
        made_dir = os.path.join(self._folder_of(rows), names.REGISTRATION)
        brain = find_brain(choices, made_dir, report)
        for key in ("ccf_template", "ccf_labels", "label_ids", "structures", "template"):
            path = getattr(choices, key)
            if path not in {"", NONE} and not os.path.isfile(path):
                hint = f"put it there, or give {key}"
                report.add(Problem("alignment.atlas", Place(path), key, "is missing", hint))
        python = choices.ephys_python
        if choices.wants_ephys and not os.access(python, os.X_OK):
            message, hint = "is no program", "give the bin/python of an environment"
            report.add(Problem("alignment.ephys", Place(python), "ephys_python", message, hint))
        return report, rows, brain

    @property
    def rows(self) -> tuple[ProbeRow, ...]:
        """The rows of the manifest that can be read."""
        self.require_inputs()
        return self._inputs[1]

    @property
    def brain(self) -> Brain:
        """The brain."""
        self.require_inputs()
        brain = self._inputs[2]
        assert brain is not None  # noqa: S101  # there would be a problem
        return brain

    def require_inputs(self) -> None:
        """Refuse wrong inputs that concern more than one row; also gaps alone, where they may be.

        Raises
        ------
        InputError
            With all problems, those of rows as well.
        """
        shared = [p for p in self.report.errors if p.code != "alignment.row"]
        rows = self._inputs[1]
        has_none = self.choices.allow_partial and all(map(self.row_problems, rows))
        if shared or not rows or has_none:
            raise InputError(self.full_report)

    @property
    def full_report(self) -> Report:
        """All problems: of files, of the table, and of each row."""
        report = Report(list(self.report.problems))
        for row in self._inputs[1]:
            report.extend(self.row_problems(row))
        return report

    # Rows

    @cached_property
    def lost_rows(self) -> list[Problem]:
        """Problems of rows that cannot be read at all."""
        return [p for p in self.report.errors if p.code == "alignment.row"]

    @property
    def good_rows(self) -> list[ProbeRow]:
        """Rows whose tracks can be made."""
        return [row for row in self.rows if not self.row_problems(row)]

    @property
    def wanted_rows(self) -> list[ProbeRow]:
        """Rows whose tracks must be there in the end."""
        return self.good_rows if self.choices.allow_partial else list(self.rows)

    def row(self, key: str) -> ProbeRow:
        """Return the row of a key."""
        found = next((row for row in self.rows if row.key == key), None)
        if found is None:
            report = Report()
            message, hint = f"has no row {key!r}", "take a key of spimpack align --validate-only"
            place = Place(self.choices.manifest)
            report.add(Problem("alignment.manifest", place, "row", message, hint))
            raise InputError(report)
        return found

    def annotation_path(self, row: ProbeRow) -> str:
        """Return the file with the track of a row, empty where there is none."""
        return next(iter(find_annotations(self.choices.data_root, row.probe_file)), "")

    @cached_property
    def _tracks(self) -> dict[str, TrackPoints | Problem]:
        return {}

    def track(self, row: ProbeRow) -> TrackPoints | Problem:
        """Return the points of a row, or why it has none."""
        if row.key not in self._tracks:
            self._tracks[row.key] = read_track(self.choices, self._inputs[2], row)
        return self._tracks[row.key]

    def row_problems(self, row: ProbeRow) -> list[Problem]:
        """Return what keeps the track of a row from being made."""
        found = self.track(row)
        return [found] if isinstance(found, Problem) else []

    # Places

    @property
    def folder(self) -> str:
        """Folder of the results of this brain."""
        return self._folder_of(self.rows)

    def _folder_of(self, rows: Sequence[ProbeRow]) -> str:
        mouse = rows[0].mouse_id if rows else ""
        prefix = "sub-" if self.choices.image and not mouse.startswith("sub-") else ""
        return os.path.join(self.choices.results_root, prefix + mouse)

    # Atlas

    @cached_property
    def atlas_grid(self) -> Grid:
        """The grid of the template of the atlas."""
        return read_atlas_grid(self.choices.ccf_template)

    @cached_property
    def structures(self) -> dict[int, Structure]:
        """The regions of the atlas by their ids; none where no file of them is given."""
        return read_structures(self.choices.structures)

    def state_path(self, step: str) -> str:
        """Return the file in which a step records its outputs."""
        return os.path.join(self.folder, names.STATE, f"{step}.json")

    def is_made(self, step: str, identity: str) -> bool:
        """Tell whether the outputs of a step are there as its inputs want them."""
        record: dict[str, Any] = read_json(self.state_path(step), dict, {})
        files = record.get("files")
        if record.get("made_from") != identity or not isinstance(files, dict):
            return False
        return all(_size(os.path.join(self.folder, name)) == n for name, n in files.items())

    @property
    def source_authors(self) -> list[str]:
        """The authors of the dataset that the image is from; none where there is no dataset."""
        dataset = dataset_above(self.choices.image) if self.choices.image else ""
        path = os.path.join(dataset, names.DESCRIPTION)
        description: dict[str, Any] = read_json(path, dict, {}) if dataset else {}
        authors = description.get("Authors")
        return [a for a in authors if isinstance(a, str)] if isinstance(authors, list) else []

    # Identities

    @cached_property
    def assets_id(self) -> str:
        """Identity of the brain without its voxels."""
        return digest_values(FORM, self.brain_facts)

    @property
    def brain_facts(self) -> dict[str, Any]:
        """The brain as values; a registration that is made here has no path in them."""
        facts = asdict(self.brain)
        if self.choices.is_registered_here:
            facts["pairs"] = [self.registration_id, *facts["pairs"][1:]]
        return facts

    @cached_property
    def registration_id(self) -> str:
        """Identity of a registration that is made here."""
        brain, choices = self.brain, self.choices
        template = choices.template or choices.ccf_template
        return digest_values(
            FORM, choices.registrar, choices.registration_um, template, stamp_text(template),
            brain.code_xyz, [asdict(each) for each in brain.levels], asdict(brain.channels[0]),
            stamp_text(brain.channels[0].path), choices.qc,
        )  # fmt: skip

    def _stamps_of_pairs(self, *kinds: str) -> list[tuple[str, str]]:
        """Return the files of registrations with size and time, in some roles."""
        stamps: list[tuple[str, str]] = []
        for number, pair in enumerate(self.brain.pairs):
            if number == 0 and self.choices.is_registered_here:
                stamps.append(("made here", self.registration_id))
                continue
            stamps += [(path, stamp_text(path)) for path in (getattr(pair, k) for k in kinds)]
        return stamps

    @cached_property
    def map_id(self) -> str:
        """Identity of the map from image to CCF."""
        brain = self.brain
        stamps = self._stamps_of_pairs("affine", "inverse_warp")
        shape = (brain.levels, brain.code_xyz, brain.version)
        return digest_values(FORM, stamps, [asdict(level) for level in shape[0]], *shape[1:])

    def track_id(self, row: ProbeRow) -> str:
        """Identity of the track of a row."""
        path = self.annotation_path(row)
        cells = asdict(row) | {"line": 0}
        bregma = self.choices.bregma_um
        return digest_values(FORM, self.map_id, cells, path, stamp_text(path), bregma)

    def regions_id(self, row: ProbeRow) -> str:
        """Identity of the regions along a track."""
        return digest_values(self.track_id(row), self._label_stamps)

    @property
    def _label_stamps(self) -> list[tuple[str, str]]:
        choices = self.choices
        paths = (choices.ccf_labels, choices.label_ids, choices.structures)
        return [(path, stamp_text(path) if path not in {"", NONE} else "") for path in paths]

    def channel_id(self, name: str) -> str:
        """Identity of the volume of a channel."""
        brain = self.brain
        channel = next(each for each in brain.channels if each.name == name)
        stamp = stamp_text(channel.path)
        return digest_values(self.assets_id, asdict(channel), stamp, brain.level)

    def volume_id(self, kind: str) -> str:
        """Identity of a volume of the atlas in the space of the image."""
        path = self.choices.ccf_template
        stamps = self._label_stamps if kind == "labels" else [(path, stamp_text(path))]
        return digest_values(kind, self.map_id, asdict(self.brain.base()), stamps)

    def ccf_channel_id(self, name: str) -> str:
        """Identity of a channel in the space of the CCF."""
        template = self.choices.ccf_template
        stamps = self._stamps_of_pairs("affine", "warp")
        return digest_values(self.channel_id(name), stamps, template, stamp_text(template))

    @property
    def recordings(self) -> list[str]:
        """The recordings of the rows, once each, in order of the table."""
        return list(dict.fromkeys(row.sorted_recording for row in self.wanted_rows))

    def ephys_id(self, recording: str) -> str:
        """Identity of what is extracted from a recording."""
        choices = self.choices
        rows = [row for row in self.rows if row.sorted_recording == recording]
        finding = sorted({row.surface_finding for row in rows})
        folders = (recording, *sorted({row.recording_id for row in rows}))
        stamps = [stamp_folder(os.path.join(choices.data_root, name)) for name in folders]
        more = ["renumbered"] if choices.renumber_clusters else []
        return digest_values(FORM, recording, stamps, choices.ephys_python, finding, *more)

    @cached_property
    def page_id(self) -> str:
        """Identity of the page on the brain."""
        name = self.brain.channels[0].name
        rows = [(row.key, self.regions_id(row)) for row in self.wanted_rows]
        gaps = [str(each) for each in self.gaps]
        return digest_values(PAGE, rows, gaps, self.channel_id(name), self.volume_id("labels"))

    @cached_property
    def package_id(self) -> str:
        """Identity of all results, before anything was made."""
        self.require_inputs()
        rows = [self.regions_id(row) for row in self.wanted_rows]
        gaps = [str(each) for each in self.gaps]
        channels = [each.name for each in self.brain.channels]
        volumes = [self.volume_id(kind) for kind in ("template", "labels")]
        in_ccf = [self.ccf_channel_id(name) for name in channels] if self.choices.qc else []
        images = [self.channel_id(name) for name in channels]
        options: list[object] = [self.choices.datapackage_schema, self.choices.allow_partial]
        options += [self.choices.image, *self.source_authors]
        wants_ephys = self.choices.wants_ephys
        ephys = [self.ephys_id(each) for each in self.recordings] if wants_ephys else []
        return digest_values(rows, gaps, images, volumes, in_ccf, options, ephys)

    @property
    def gaps(self) -> list[Problem]:
        """Problems of the rows that are left out."""
        return [*self.lost_rows, *(p for row in self.rows for p in self.row_problems(row))]


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def checked_chain(values: dict[str, object]) -> Chain:
    """Return the steps of some parameters.

    Raises
    ------
    SpimpackError
        A choice is wrong.
    """
    return Chain(choices_of(values))


def describe_inputs(chain: Chain) -> str:
    """Return the brain as JSON: channels, levels, frame, transformations."""
    brain = chain.brain
    data = chain.brain_facts | {
        "base_grid": asdict(brain.base()),
        "registered_grid": asdict(brain.registered()),
    }
    return json.dumps(data, indent=2, sort_keys=True) + "\n"
