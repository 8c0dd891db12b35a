"""The BIDS entities of a microscopy image, and the file name they make.

This is the one list of entities: table columns, file names, schemas and messages derive from it.
The order is that of BIDS 1.10 for the data type `micr`. Whether a label is well formed, and an
entity allowed, is a rule (`packaging.rules`), not a matter of this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MISSING = "n/a"
"""How BIDS writes a value that is not known."""

SUFFIX = "SPIM"
PHOTO_SUFFIX = "photo"
OTHER_SUFFIXES = (
    *("TEM", "SEM", "uCT", "BF", "DF", "PC", "DIC", "FLUO", "CONF", "PLI", "CARS", "2PE", "MPE"),
    *("SR", "NLO", "OCT", "XPCT"),
)
"""Suffixes of other microscopes (BIDS 1.11, schema, rules.files.raw.micr)."""
DATATYPE = "micr"


@dataclass(frozen=True, slots=True)
class Entity:
    """One BIDS entity: `subject` is `sub-<label>` in file names."""

    name: str
    short: str
    form: Literal["label", "index"] = "label"
    required: bool = False
    derivative: bool = False
    """Whether only images of derivative datasets have it."""
    of_photos: bool = False
    """Whether photos of samples have it too."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Table columns that give this entity, the canonical one first."""
        return (self.name,) if self.name == self.short else (self.name, self.short)


ENTITIES = (
    Entity("subject", "sub", required=True, of_photos=True),
    Entity("session", "ses", of_photos=True),
    Entity("sample", "sample", required=True, of_photos=True),
    Entity("acquisition", "acq", of_photos=True),
    Entity("stain", "stain"),
    Entity("run", "run", form="index"),
    Entity("space", "space", derivative=True),
    Entity("chunk", "chunk", form="index"),
    Entity("desc", "desc", derivative=True),
)

_SHORT = tuple((entity.name, entity.short) for entity in ENTITIES)
_NAMES = {entity.short: entity.name for entity in ENTITIES}

# Template for pybids; brackets mark optional parts.
PATH_PATTERN = (
    "sub-{subject}/[ses-{session}/]"
    + DATATYPE
    + "/"
    + "_".join(f"{e.short}-{{{e.name}}}" for e in ENTITIES if e.name == "subject")
    + "".join(
        f"_{e.short}-{{{e.name}}}" if e.required else f"[_{e.short}-{{{e.name}}}]"
        for e in ENTITIES
        if e.name != "subject"
    )
    + f"_{{suffix<{SUFFIX}|{PHOTO_SUFFIX}>}}{{extension}}"
)


def stem(entities: dict[str, str], suffix: str = SUFFIX) -> str:
    """Return the BIDS file name without its extension, which is also the asset's identity.

    Parameters
    ----------
    entities
        Values by canonical entity name; absent and empty ones are left out.
    suffix
        BIDS suffix, such as `SPIM`.

    Examples
    --------
    >>> stem({"subject": "01", "sample": "brain", "acquisition": "4x"})
    'sub-01_sample-brain_acq-4x_SPIM'
    """
    parts = [f"{short}-{entities[name]}" for name, short in _SHORT if entities.get(name)]
    return "_".join([*parts, suffix])


def entities_in(stem: str) -> dict[str, str]:
    """Return values by canonical entity name, of a name that `stem` has made of labels.

    Examples
    --------
    >>> entities_in("sub-01_sample-brain_acq-4x_SPIM")
    {'subject': '01', 'sample': 'brain', 'acquisition': '4x'}
    """
    pairs = (part.partition("-") for part in stem.split("_")[:-1])
    return {_NAMES[short]: label for short, _, label in pairs}


def label_in(stem: str, short: str) -> str:
    """Return the label of one entity by its short name, empty where the stem has none.

    It takes a quarter of the time of `entities_in`.

    Examples
    --------
    >>> label_in("sub-01_sample-brain_SPIM", "sample")
    'brain'
    """
    _, _, rest = f"_{stem}".partition(f"_{short}-")
    return rest.partition("_")[0]
