"""The plan: every output of a run, as values.

A plan is a pure function of the inputs. All later steps only compare the disk with it. Its identity
is the digest of its content, so equal inputs give the same plan in every process and on every
machine, in any order of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from spimpack_tasks.model.buckets import bucket_of
from spimpack_tasks.model.entities import PHOTO_SUFFIX, SUFFIX, entities_in, label_in
from spimpack_tasks.model.selection import WHOLE, Selection

if TYPE_CHECKING:
    from spimpack_tasks.errors import Report


class Step(StrEnum):
    """The steps that write outputs; `STEPS` describes each."""

    DESCRIPTION = "description"
    PARTICIPANTS = "participants"
    SAMPLES = "samples"
    SCANS = "scans"
    README = "readme"
    BIDSIGNORE = "bidsignore"
    SIDECARS = "sidecars"
    ASSETS = "assets"
    SOURCES = "sources"
    COMPANIONS = "companions"
    PREVIEWS = "previews"


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step of a run."""

    step: Step
    task: str
    """The name of its task class; images have that of their backend."""
    per_image: bool = False
    is_slow: bool = False
    """Whether each image has a task of its own, up to a limit."""
    version: int = 1
    """Raise it when the step writes other bytes from the same inputs: its outputs are redone."""
    option: str = ""
    """The name of the option that asks for it; nothing where no option does."""
    is_later: bool = False
    """Whether it came after the first steps, so that only plans with it hold its version."""
    needs: str = ""
    """Attribute that a backend must have for this step; empty if every backend supports it."""
    counts: str = ""
    """Counter of a run's progress that one of its tasks increases when it ends."""
    is_further: bool = False
    """Whether it adds a file beside an image, so that a new one is a change of the image."""
    remade: str = ""
    """Reason that `plan` gives for an output with changed inputs."""


STEPS = (
    StepSpec(Step.DESCRIPTION, "WriteDescription", version=2),
    StepSpec(Step.PARTICIPANTS, "WriteParticipants"),
    StepSpec(Step.SAMPLES, "WriteSamples"),
    StepSpec(Step.SCANS, "WriteScans"),
    StepSpec(Step.README, "WriteReadme"),
    StepSpec(Step.BIDSIGNORE, "WriteBidsIgnore"),
    StepSpec(Step.SIDECARS, "WriteSidecars", per_image=True, counts="sidecars"),
    StepSpec(Step.ASSETS, "LinkAssets", per_image=True, counts="placed"),
    StepSpec(
        Step.SOURCES,
        "LinkSources",
        per_image=True,
        option="keep_source_links",
        needs="makes",
        is_further=True,
        remade="changed its text",
    ),
    StepSpec(
        Step.COMPANIONS,
        "WriteCompanions",
        per_image=True,
        is_slow=True,
        is_later=True,
        needs="companions",
        is_further=True,
        remade="is made again",
    ),
    StepSpec(
        Step.PREVIEWS,
        "WritePreviews",
        per_image=True,
        is_slow=True,
        version=2,  # that of the strips of `qc.pictures`
        option="previews",
        is_later=True,
        is_further=True,
        remade="is drawn again",
    ),
)
"""All steps, in the order in which they are listed to a user."""


def is_wanted(spec: StepSpec, options: object, backend: object) -> bool:
    """Tell whether a run does a step.

    Parameters
    ----------
    spec
        The step.
    options
        Options with the attribute that `StepSpec.option` names.
    backend
        Backend with the attribute that `StepSpec.needs` names.
    """
    is_asked = not spec.option or bool(getattr(options, spec.option))
    return is_asked and (not spec.needs or bool(getattr(backend, spec.needs)))


SPECS = {spec.step: spec for spec in STEPS}
ASSET_STEPS = tuple(spec.step for spec in STEPS if spec.per_image)

DATASET_PART = "dataset"
"""The part of a plan that is of no single image; the others are named by their buckets."""

STATE_DIRECTORY = ".spimpack"
"""Folder of a dataset for the records of its runs."""
SOURCE_FOLDER = "sourcedata"
"""BIDS folder for the originals of a dataset."""


SAMPLE_COLUMNS = ("sample_type", "pathology", "derived_from")
"""Columns of a row that go to samples.tsv."""
SCAN_COLUMNS = ("acq_time",)
"""Columns of a row that go to scans.tsv."""


class Origin(StrEnum):
    """Origin of a value that its row does not give."""

    HEADER = "header"
    """The image's own header."""
    ACQUISITION = "acquisition_file"
    """A file that the acquisition program wrote beside the image."""
    DEFAULTS = "sidecar_defaults"
    """The manifest's values for all images."""
    BACKEND = "backend"
    """The backend's way of storing the image."""


class Kind(StrEnum):
    """Kind of an output: the owner of its content, and so the test of whether it is right."""

    TEXT = "text"
    """A file that is ours as a whole."""
    SEED = "seed"
    """A file we start for the user, who may edit it afterwards (README, CHANGES)."""
    BLOCK = "block"
    """A marked block of lines in a file that also holds the user's lines (.bidsignore)."""
    IMAGE = "image"
    """An image, placed by a backend."""
    LINK = "link"
    """A symbolic link to the original of an image that was converted."""
    COMPANION = "companion"
    """A small file that is made from an image and lies beside it."""

    @property
    def is_made(self) -> bool:
        """Whether the output is made from a source, and not composed in the plan."""
        return self in {Kind.IMAGE, Kind.COMPANION}

    @property
    def is_hashed(self) -> bool:
        """Whether the output is a small file of ours as a whole, with a digest on record."""
        return self in {Kind.TEXT, Kind.COMPANION}


KINDS = {kind.value: kind for kind in Kind}
"""Kinds by name; looking one up is nine times as fast as asking `Kind` for it."""


_NO_VALUES: dict[str, str] = {}
"""One for all outputs and assets that have none; nothing is put into it."""


class Output(NamedTuple):
    """One path of the dataset, and its planned content.

    It is a tuple because a run makes two for each image, and tuples are made five times as fast.
    """

    path: str
    """Relative to the dataset, with forward slashes."""
    step: Step
    kind: Kind
    fingerprint: str
    """Digest of all that this output is made from, the writer's version included."""
    text: str = ""
    """The whole content, for the textual kinds; where it leads, for links; the path of the image,
    for companions."""
    source: str = ""
    """Absolute path of the source image, for images and links."""
    stamp: str = ""
    """Size in bytes and modification time in nanoseconds of the source, for images and links."""
    target: str = ""
    """Further input of making, such as a link's text, for outputs made from a source."""
    asset: str = ""
    """The asset's identity (its BIDS file name without extension), for sidecars and images."""
    dataset_id: str = ""
    """The asset's logical group."""
    origins: dict[str, str] = _NO_VALUES
    """For sidecars: where the value of a key comes from, if not from the asset's own row."""
    format: str = ""
    """Name of the source's format (`volumes.formats`), for outputs made from a source."""
    selection: Selection = WHOLE
    """The choice of the user in the source, for outputs made from a source."""
    is_converted: bool = False
    """For images: whether the voxels are written again, as `target` says, and not linked."""
    part_count: int = 0
    """For images: into how many parts they are divided, which workers share; 0 for one worker."""


class Asset(NamedTuple):
    """One validated row: a source image and its metadata. It is a tuple as `Output` is."""

    key: str
    dataset_id: str
    source: str
    stamp: str
    """Size in bytes and modification time in nanoseconds of the source, as one text."""
    extension: str
    """The extension in the dataset, such as `.ome.zarr`."""
    valid_in_bids: bool
    sidecar: dict[str, Any]
    format: str = ""
    """The name of the format of the source, see `volumes.formats`."""
    sample: dict[str, str] = _NO_VALUES
    """Columns for samples.tsv: sample_type, pathology, derived_from."""
    scan: dict[str, str] = _NO_VALUES
    """Columns for scans.tsv: acq_time."""
    origins: dict[str, str] = _NO_VALUES
    """Origin of the values of sidecar keys that the row does not give."""
    suffix: str = SUFFIX
    intended_for: tuple[str, ...] = ()
    """Of a photo: the keys of the images of its sample."""
    source_extension: str = ""
    """Extension of the image if it is not converted."""
    shape_nyx: tuple[int, ...] = ()
    """Number of planes, and their sizes along y and x; nothing where the header does not tell."""
    itemsize: int = 0
    """Bytes of a voxel, 0 where the header does not tell."""
    other_files: tuple[tuple[str, str], ...] = ()
    """Absolute path, and size and time, of each further file of the image."""
    left_out: tuple[str, ...] = ()
    """Further content of the source that is left out, such as a second image."""
    extras: tuple[str, ...] = ()
    """Further content of the image that only OME-Zarr can hold, such as labels."""
    display_doubts: tuple[str, ...] = ()
    """Wrong colours and windows in the source."""
    ome_sizes: dict[str, str] | None = None
    """Attributes of OME-XML that the official validator compares with the sidecar."""
    selection: Selection = WHOLE
    """The choice of the user: the number of the image in a source of several, and its axes."""
    unclear: str = ""
    """Why it is not certain what the axes of the image are; nothing if it is."""

    @property
    def entities(self) -> dict[str, str]:
        """Labels by entity; its key has them, and a dictionary of each of many takes memory."""
        return entities_in(self.key)

    @property
    def subject_label(self) -> str:
        """Label of the subject, without a dictionary of all labels."""
        return label_in(self.key, "sub")

    @property
    def sample_label(self) -> str:
        """Label of the sample, without a dictionary of all labels."""
        return label_in(self.key, "sample")

    @property
    def stamp_numbers(self) -> list[int]:
        """Size in bytes and modification time in nanoseconds of the source."""
        return [int(number) for number in self.stamp.split()]

    @property
    def sources(self) -> tuple[tuple[str, str], ...]:
        """Absolute path and stamp of all files of the image; nothing where it has no source."""
        return ((self.source, self.stamp), *self.other_files) if self.source else ()

    @property
    def is_photo(self) -> bool:
        """Tell whether this is a photo of a sample, and not an image of a microscope."""
        return self.suffix == PHOTO_SUFFIX


@dataclass(frozen=True, slots=True)
class Table:
    """A validated table as text: header and rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Everything that a user asked for, validated and normalised."""

    description: dict[str, Any]
    assets: tuple[Asset, ...]
    """Sorted by key."""
    participants: Table | None
    backend: str
    relative_symlinks: bool
    keep_source_links: bool = False
    """Whether the originals of converted images are linked."""
    described_participants: dict[str, Any] = field(default_factory=dict)
    """The user's descriptions of the participants' columns."""
    previews: bool = False
    """Whether each image gets a picture beside it."""
    kept_versions: dict[str, str] = field(default_factory=dict)
    """Other versions of this program that converted images which stay, by the key of the asset."""

    @property
    def is_raw(self) -> bool:
        """Whether the images are raw recordings, and not derived from others."""
        return bool(self.description["DatasetType"] != "derivative")


@dataclass(frozen=True)
class Plan:
    """All outputs of a dataset."""

    plan_id: str
    backend: str
    outputs: tuple[Output, ...]
    """Those of one asset follow one another."""

    @property
    def asset_count(self) -> int:
        """Number of images in the plan."""
        return sum(output.step is Step.ASSETS for output in self.outputs)

    @cached_property
    def parts(self) -> dict[str, list[Output]]:
        """The parts in which a plan is saved: that of the dataset, and one for each bucket."""
        parts: dict[str, list[Output]] = {DATASET_PART: []}
        last, part = "", parts[DATASET_PART]
        for output in self.outputs:
            # Those of one asset follow one another, and a digest of its key takes time.
            if output.asset != last:
                last = output.asset
                part = parts.setdefault(bucket_of(last), []) if last else parts[DATASET_PART]
            part.append(output)
        return parts


def refused_id(report: Report) -> str:
    """Return an identity for a run that is refused; no plan ever has it."""
    return f"refused-{report.identity}"


def is_refused(plan_id: str) -> bool:
    """Tell whether an identity is that of a refused run."""
    return plan_id.startswith("refused-")


MANIFEST_FILE = "manifest"
"""File there with the path of the current manifest: absolute, and relative to the dataset."""
