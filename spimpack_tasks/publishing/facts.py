"""Values of the facts about a packaged dataset, from which the records for portals are composed.

Nothing in them depends on the place of the dataset or on the time, and only those columns of
participants are kept that a portal has a field for. `publishing.read_facts` reads them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spimpack_tasks.model.identifiers import plain_doi, spdx_of
from spimpack_tasks.model.publication import Contributor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.model.publication import PublicationBlock

_HUMANS = frozenset({"homo sapiens", "h. sapiens", "h sapiens", "human", "humans"})
_HUMAN_TERM = re.compile(r"(?i)ncbi.*[:_/=]9606$")
_ABSENT = frozenset({"", "n/a"})


def is_human(species: str, block: PublicationBlock) -> bool:
    """Tell whether a species is that of humans, by its word or by its term."""
    term = block.term("species", species)
    is_told = " ".join(species.casefold().split()) in _HUMANS
    return is_told or bool(term and _HUMAN_TERM.search(term.id.strip()))


@dataclass(frozen=True, slots=True)
class Age:
    """An age since birth."""

    number: str
    """As the table has it, such as `0.4`."""
    unit: str
    """Such as `year`."""

    def __str__(self) -> str:
        """Render as `0.4 years`."""
        return f"{self.number} {self.unit}s"


@dataclass(frozen=True, slots=True)
class Participant:
    """One row of participants.tsv, without columns that no portal has a field for."""

    label: str
    """Without `sub-`."""
    species: str = ""
    sex: str = ""
    """`female`, `male`, or nothing."""
    age: Age | None = None
    """`None` where it is not given, or withheld."""
    strain: str = ""
    strain_rrid: str = ""
    is_human: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of samples.tsv."""

    participant: str
    label: str
    kind: str
    """Such as `tissue`."""

    @property
    def name(self) -> str:
        """Name that is unique in the dataset: BIDS has labels within a participant."""
        return f"sub-{self.participant}_sample-{self.label}"


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One image: its sidecar and its header."""

    path: str
    """In the dataset."""
    participant: str
    sample: str
    sidecar: Mapping[str, Any]
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    """Sizes along `axes`."""
    dtype: str
    spacing_um_xyz: tuple[float | None, float | None, float | None]
    channels: tuple[str, ...]
    """Names, of the header or else the stains of the sidecar; empty for one without."""
    colours: tuple[str, ...]
    """Six hexadecimal digits of each channel; nothing where the header has none."""
    time_step_s: float | None
    excitation_nm: tuple[float, ...]
    format: str
    orientation_xyz: str

    def size(self, axis: str) -> int:
        """Return the size along an axis, 1 where the image has not got it."""
        return dict(zip(self.axes, self.shape, strict=True)).get(axis, 1)

    @property
    def instrument(self) -> str:
        """Manufacturer and model of the microscope, empty where the sidecar has neither."""
        keys = ("Manufacturer", "ManufacturersModelName")
        return " ".join(word for key in keys for word in words_of(self.sidecar.get(key)))

    @property
    def words(self) -> tuple[str, ...]:
        """Stains and antibodies of the sidecar, each once."""
        keys = ("SampleStaining", "SamplePrimaryAntibody", "SampleSecondaryAntibody")
        return tuple(dict.fromkeys(w for key in keys for w in words_of(self.sidecar.get(key))))


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file, or an image that is a folder."""

    path: str
    size: int
    is_store: bool
    is_image: bool
    root_files: tuple[tuple[str, int], ...] = ()
    """Name and size of the metadata at the root of an OME-Zarr."""


@dataclass(frozen=True)
class Facts:
    """All facts that records are composed from; what is looked up by a name is found at once."""

    description: Mapping[str, Any]
    block: PublicationBlock
    participants: tuple[Participant, ...]
    samples: tuple[Sample, ...]
    images: tuple[ImageFacts, ...]
    files: tuple[FileFacts, ...]
    sha256: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Digests of files by their paths, as far as they are known."""

    @property
    def title(self) -> str:
        """Title of the block, or the name of the dataset."""
        return self.block.title or str(self.description.get("Name", ""))

    @property
    def keywords(self) -> tuple[str, ...]:
        """Keywords of the block, or those of the dataset."""
        return self.block.keywords or tuple(map(str, self.description.get("Keywords", ())))

    @property
    def contributors(self) -> tuple[Contributor, ...]:
        """People of the block, or those whom the dataset names as its authors."""
        names = self.description.get("Authors", ())
        return self.block.contributors or tuple(Contributor(str(name)) for name in names)

    @property
    def authors(self) -> tuple[Contributor, ...]:
        """Contributors who are cited."""
        return tuple(person for person in self.contributors if person.is_author)

    @property
    def licence(self) -> str:
        """SPDX identifier of the licence, empty where it is not known."""
        return spdx_of(str(self.description.get("License", "")))

    @property
    def doi(self) -> str:
        """DOI of the dataset, empty where it has none."""
        return plain_doi(str(self.description.get("DatasetDOI", "")))

    @cached_property
    def instruments(self) -> tuple[str, ...]:
        """Manufacturer and model of each microscope."""
        return tuple(dict.fromkeys(i.instrument for i in self.images if i.instrument))

    def participant(self, label: str) -> Participant:
        """Return a participant by its label; one without a row has nothing but that."""
        return self._participants.get(label) or Participant(label)

    def image(self, path: str) -> ImageFacts | None:
        """Return an image by its path, `None` for another file."""
        return self._images.get(path)

    def sample_of(self, image: ImageFacts) -> Sample | None:
        """Return the sample that an image shows, `None` where the table has no row of it."""
        return self._samples.get((image.participant, image.sample))

    def image_of(self, sample: Sample) -> ImageFacts | None:
        """Return the first image of a sample."""
        return self._first_images.get((sample.participant, sample.label))

    @cached_property
    def _participants(self) -> dict[str, Participant]:
        return {each.label: each for each in self.participants}

    @cached_property
    def _images(self) -> dict[str, ImageFacts]:
        return {each.path: each for each in self.images}

    @cached_property
    def _samples(self) -> dict[tuple[str, str], Sample]:
        return {(each.participant, each.label): each for each in self.samples}

    @cached_property
    def _first_images(self) -> dict[tuple[str, str], ImageFacts]:
        return {(each.participant, each.sample): each for each in reversed(self.images)}


def words_of(value: Any) -> tuple[str, ...]:
    """Return the words of a sidecar value that is one text or a list, without absent ones."""
    items = value if isinstance(value, list) else [value]
    return tuple(str(item).strip() for item in items if item is not None and is_given(str(item)))


def is_given(text: str) -> bool:
    """Tell whether a cell says something."""
    return text.strip().lower() not in _ABSENT
