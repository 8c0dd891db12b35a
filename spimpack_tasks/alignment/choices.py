"""The choices of an alignment, once for tasks and command line."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spimpack_tasks.alignment.names import ATLAS, BRAINGLOBE, MANIFEST, NEUROGLANCER, SCHEMAS
from spimpack_tasks.alignment.picks import BREGMA_UM
from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.model.options import Option

if TYPE_CHECKING:
    from collections.abc import Iterator

NONE = "none"
"""For `template_to_ccf_dir` where the template is the CCF itself, for `label_ids` where voxels are
labels, and for `registrar` where files of a registration are there."""
FRAMES = ("auto", "native", "pipeline")
REGISTRARS = (NONE, "simpleitk", "antspyx")
"""Programs that register an image; `registering.py` has their records."""


OPTIONS = {
    "neuroglancer": Option(NEUROGLANCER, "state of Neuroglancer that shows the brain"),
    "manifest": Option(MANIFEST, "table of probes (CSV)"),
    "image": Option(
        "", "an OME-Zarr of a packaged dataset; without it the SmartSPIM asset of the state"
    ),
    "desired_voxel_size_um": Option(
        25.0, "voxel size of the volumes: the coarsest level is taken that is not above it"
    ),
    "output_voxel_size_um": Option(
        0.0, "side of the voxels of volumes, which are smoothed for it; 0 keeps those of the level"
    ),
    "frame": Option(
        "auto",
        "frame of the transformations: pipeline as SmartSPIM's importer placed images, native as "
        "the image says, auto by the version of the importer",
        FRAMES,
    ),
    "image_to_template_dir": Option("", "folder of the registration with the template"),
    **{
        name: Option(path, f"{name.replace('_', ' ')}, below the data root")
        for name, path in ATLAS.items()
    },
    "atlas": Option("", "folder of an atlas of brainglobe, in place of the three files"),
    "structures": Option("", "regions of the atlas with id and acronym (JSON, CSV or TSV)"),
    "bregma_um": Option(
        "", "place of bregma in another atlas than the Allen CCF, such as 5739,5400,332"
    ),
    "registrar": Option(
        NONE,
        "register the image with the template: simpleitk needs no other extra, antspyx the extra "
        "registration; none reads files of a registration",
        REGISTRARS,
    ),
    "template": Option("", "template that the registrar takes; without it the one of the atlas"),
    "registration_um": Option(100.0, "voxel size of the registration"),
    "ephys_python": Option(
        "", "Python of an environment that extracts recordings; without it none is extracted"
    ),
    "datapackage_schema": Option(SCHEMAS[0], "version of datapackage.json", SCHEMAS),
}
"""By the name of the parameter; on the command line it has `-` for `_`."""
PATHS = (
    *("neuroglancer", "manifest", "image", "image_to_template_dir"),
    *ATLAS,
    *("atlas", "structures", "template", "ephys_python"),
)
"""Options that are paths, relative to the data root."""


class ChoiceRefusedError(SpimpackError):
    """Choices of a user do not fit; the message has a line for each."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, slots=True)
class Choices:
    """A user's choices; paths are absolute."""

    data_root: str
    results_root: str
    neuroglancer: str = ""
    manifest: str = ""
    image: str = ""
    desired_voxel_size_um: float = 25.0
    output_voxel_size_um: float = 0.0
    frame: str = "auto"
    image_to_template_dir: str = ""
    ccf_template: str = ""
    ccf_labels: str = ""
    label_ids: str = ""
    template_to_ccf_dir: str = ""
    atlas: str = ""
    structures: str = ""
    bregma_um: tuple[float, float, float] = BREGMA_UM
    has_own_bregma: bool = False
    """Whether the place of bregma was given, as for another atlas than the Allen CCF."""
    registrar: str = NONE
    template: str = ""
    registration_um: float = 100.0
    ephys_python: str = ""
    datapackage_schema: str = SCHEMAS[0]
    allow_partial: bool = False
    qc: bool = False
    skip_ephys: bool = False
    renumber_clusters: bool = False

    @property
    def is_registered_here(self) -> bool:
        """Whether the image is registered by this program."""
        return self.registrar != NONE

    @property
    def wants_ephys(self) -> bool:
        """Whether recordings are extracted."""
        return bool(self.ephys_python) and not self.skip_ephys


def choices_of(values: dict[str, object]) -> Choices:
    """Return the choices of parameters by name, with paths below the data root made absolute.

    Raises
    ------
    ChoiceRefusedError
        A value is none of those that are known.
    """
    root = os.path.abspath(str(values["data_root"]))
    # A number of 0 is a choice of its own, and a wrong one.
    given = {name: value for name, value in values.items() if value not in {None, ""}}
    chosen = {name: given.get(name, option.default) for name, option in OPTIONS.items()}
    wrong = [*_wrong_choices(chosen)]
    bregma = _numbers_of(str(chosen["bregma_um"]))
    if bregma is None:
        wrong.append(f"bregma_um is {chosen['bregma_um']!r}; write three numbers: 5739,5400,332")
    if wrong:
        raise ChoiceRefusedError("\n".join(wrong))
    for name in PATHS:
        text = str(chosen[name])
        is_path = text and text != NONE
        chosen[name] = os.path.normpath(os.path.join(root, text)) if is_path else text
    chosen |= _brainglobe_files(chosen, given)
    return Choices(
        data_root=root,
        results_root=os.path.abspath(str(values["results_root"])),
        has_own_bregma=bool(chosen.pop("bregma_um")),
        bregma_um=bregma or BREGMA_UM,
        allow_partial=bool(values.get("allow_partial")),
        qc=bool(values.get("qc")),
        skip_ephys=bool(values.get("skip_ephys")),
        renumber_clusters=bool(values.get("renumber_clusters")),
        **chosen,  # type: ignore[arg-type]  # texts and numbers, as in the class
    )


def _brainglobe_files(chosen: dict[str, object], given: dict[str, object]) -> dict[str, str]:
    """Return the files of a folder of brainglobe, where the user gave no other ones."""
    if not chosen["atlas"]:
        return {}
    files = {name: os.path.join(str(chosen["atlas"]), file) for name, file in BRAINGLOBE.items()}
    return {
        name: path
        for name, path in (files | {"label_ids": NONE}).items()
        if given.get(name, OPTIONS[name].default) == OPTIONS[name].default
    }


def _wrong_choices(chosen: dict[str, object]) -> Iterator[str]:
    """Yield what is wrong about choices by themselves, and of two that exclude each other."""
    for name, option in OPTIONS.items():
        if option.choices and chosen[name] not in option.choices:
            yield f"{name} is {chosen[name]!r}; choose {', '.join(option.choices)}"
    yield from _wrong_sizes(chosen)
    if chosen["registrar"] != NONE:
        if chosen["image_to_template_dir"]:
            yield "registrar makes what image_to_template_dir gives; choose one of them"
        if chosen["frame"] == "pipeline":
            yield "registrar takes images as they lie; frame pipeline cannot be given with it"
        if not chosen["template"] and chosen["template_to_ccf_dir"] != NONE:
            yield "registrar needs the template of template_to_ccf_dir: give template"
    elif chosen["template"]:
        yield "template is for a registrar; choose one"


def _wrong_sizes(chosen: dict[str, object]) -> Iterator[str]:
    for name in ("desired_voxel_size_um", "registration_um"):
        if not 0 < float(str(chosen[name])) < math.inf:
            yield f"{name} is not above 0"
    if not 0 <= float(str(chosen["output_voxel_size_um"])) < math.inf:
        yield "output_voxel_size_um is below 0, or no finite number"


def _numbers_of(text: str) -> tuple[float, float, float] | None:
    """Return three numbers of a text, those of the Allen CCF where it is empty."""
    if not text:
        return BREGMA_UM
    try:
        ml, ap, dv = (float(part) for part in text.split(","))
    except ValueError:
        return None
    return (ml, ap, dv) if all(map(math.isfinite, (ml, ap, dv))) else None


def default_text(name: str) -> str:
    """Return the default value of an option that is a text."""
    return str(OPTIONS[name].default)


def describe(name: str) -> str:
    """Return the description of an option as Luigi's help has it."""
    return OPTIONS[name].description
