"""The choices of an alignment, once for tasks and command line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

from spimpack_tasks.alignment.names import ATLAS, MANIFEST, NEUROGLANCER, SCHEMAS
from spimpack_tasks.errors import ExitCode, SpimpackError

FRAMES = ("auto", "native", "pipeline")


class Option(NamedTuple):
    """An option of an alignment."""

    default: str | float
    text: str
    choices: tuple[str, ...] = ()


OPTIONS = {
    "neuroglancer": Option(NEUROGLANCER, "state of Neuroglancer that shows the brain"),
    "manifest": Option(MANIFEST, "table of probes (CSV)"),
    "image": Option(
        "", "an OME-Zarr of a packaged dataset; without it the SmartSPIM asset of the state"
    ),
    "desired_voxel_size_um": Option(
        25.0, "voxel size of the volumes: the coarsest level is taken that is not above it"
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
    "datapackage_schema": Option(SCHEMAS[0], "version of datapackage.json", SCHEMAS),
}
"""By the name of the parameter; on the command line it has `-` for `_`."""
PATHS = (
    *("neuroglancer", "manifest", "image", "image_to_template_dir"),
    *ATLAS,
)
"""Options that are paths, relative to the data root."""
NONE = "none"
"""For `template_to_ccf_dir` where the template is the CCF itself."""


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
    frame: str = "auto"
    image_to_template_dir: str = ""
    ccf_template: str = ""
    ccf_labels: str = ""
    label_ids: str = ""
    template_to_ccf_dir: str = ""
    datapackage_schema: str = SCHEMAS[0]
    allow_partial: bool = False
    qc: bool = False


def choices_of(values: dict[str, object]) -> Choices:
    """Return the choices of parameters by name, with paths below the data root made absolute.

    Raises
    ------
    ChoiceRefusedError
        A value is none of those that are known.
    """
    root = os.path.abspath(str(values["data_root"]))
    chosen = {name: values.get(name) or option.default for name, option in OPTIONS.items()}
    wrong = [
        f"{name} is {chosen[name]!r}; choose {', '.join(option.choices)}"
        for name, option in OPTIONS.items()
        if option.choices and chosen[name] not in option.choices
    ]
    if not float(str(chosen["desired_voxel_size_um"])) > 0:
        wrong.append("desired_voxel_size_um is not above 0")
    if wrong:
        raise ChoiceRefusedError("\n".join(wrong))
    for name in PATHS:
        text = str(chosen[name])
        is_path = text and text != NONE
        chosen[name] = os.path.normpath(os.path.join(root, text)) if is_path else text
    return Choices(
        data_root=root,
        results_root=os.path.abspath(str(values["results_root"])),
        allow_partial=bool(values.get("allow_partial")),
        qc=bool(values.get("qc")),
        **chosen,  # type: ignore[arg-type]  # texts and one number, as in the class
    )


def default_text(name: str) -> str:
    """Return the default value of an option that is a text."""
    return str(OPTIONS[name].default)


def describe(name: str) -> str:
    """Return the description of an option as Luigi's help has it."""
    option = OPTIONS[name]
    choices = f": {', '.join(option.choices)}" if option.choices else ""
    return f"{option.text[0].upper()}{option.text[1:]}{choices}."
