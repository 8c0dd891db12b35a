"""Registers the image of a brain with a template, for users who have no registration.

Registrars are records in a table. Each gets two small images, LPS in mm, and a first guess, and
writes files as ANTs has them. The guess follows from the orientation that the image states: axes of
both are known, so centre and extent of the two brains say the rest, and nobody turns a brain by
hand.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment import names
from spimpack_tasks.alignment.atlas import read_atlas_image
from spimpack_tasks.alignment.geometry import Grid, choose_level
from spimpack_tasks.alignment.recording import record
from spimpack_tasks.alignment.transforms import AtlasFileError, image_on, load_sitk
from spimpack_tasks.alignment.volumes import ImageSource, open_channel
from spimpack_tasks.deferred import Deferred
from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.volumes.header import load_library

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spimpack_tasks.alignment.chain import Chain
    from spimpack_tasks.alignment.warps import Source

_LEAST_VOXELS = 8
"""Voxels along an axis, below which an image is too small for the pyramids of registrars."""
_TOLD = 300
"""Characters of the words of a registrar that are told: its error stands at their end."""
_MOST_SCALE = 2.0
"""The first guess makes no brain larger or smaller than by this: a mask that is off would."""


class RegistrationError(SpimpackError):
    """A registrar found no map; the message has its words."""


@dataclass(frozen=True, slots=True)
class Registrar:
    """A program that registers a moving image with a fixed one."""

    register: Deferred
    """Takes `RegistrationInput`, writes the files of `names.ants_names("")` into a folder."""
    library: str
    extra: str


REGISTRARS: Mapping[str, Registrar] = {
    "simpleitk": Registrar(
        Deferred("spimpack_tasks.alignment.register_simpleitk:register"), "SimpleITK", "alignment"
    ),
    "antspyx": Registrar(
        Deferred("spimpack_tasks.alignment.register_ants:register"), "ants", "registration"
    ),
}
"""By the value of the option `registrar`."""


@dataclass(frozen=True, slots=True)
class RegistrationInput:
    """Two images of SimpleITK with the first guess."""

    fixed: Any
    """The template."""
    moving: Any
    """The brain."""
    guess: Any
    """An affine map from places of the template to those of the brain."""


def register_to_template(chain: Chain) -> None:
    """Register the first channel with the template, and write the files of the registration.

    Raises
    ------
    AtlasFileError
        The template cannot be read, or one of the images is empty or too small.
    MissingExtraError
        The registrar is not installed.
    RegistrationError
        The registrar found no map.
    OSError
        The image is damaged, or the disk does not take the files.
    """
    brain, choices = chain.brain, chain.choices
    registrar = REGISTRARS[choices.registrar]
    load_library(registrar.library, registrar.extra)
    wanted = choices.registration_um
    level, channel = choose_level(brain.levels, wanted), brain.channels[0]
    with open_channel(channel, level, brain.base(level)) as source:
        moving = shrink(source, wanted)
    path = choices.template or choices.ccf_template
    fixed = shrink(ImageSource(read_atlas_image(path)), wanted)
    for image, name in ((moving, channel.path), (fixed, path)):
        if min(image.GetSize()) < _LEAST_VOXELS:
            message = f"has {image.GetSize()} voxels of {wanted:g} µm; choose a smaller"
            raise AtlasFileError(f"{name}: {message} registration_um")
    guess = guess_map(fixed, moving, (path, channel.path))
    folder = os.path.join(chain.folder, names.REGISTRATION)
    os.makedirs(folder, exist_ok=True)
    files = []
    with TemporaryDirectory(prefix=".making-", dir=folder) as aside:
        try:
            registrar.register(RegistrationInput(fixed, moving, guess), aside)
        except RuntimeError as error:
            told = " ".join(str(error).split())[-_TOLD:]
            message = f"{channel.path}: {choices.registrar} finds no map to {path}; look whether "
            message += "the orientation is right and both show a whole brain"
            raise RegistrationError(f"{message}. It says: {told}") from error
        for made, name in zip(names.ants_names(""), names.MADE_HERE, strict=True):
            os.rename(os.path.join(aside, made), os.path.join(folder, name))
            files.append(f"{names.REGISTRATION}/{name}")
    record(chain, "registration", chain.registration_id, files, registrar=choices.registrar)
    _remove_leftovers(folder)


def _remove_leftovers(folder: str) -> None:
    """Remove what killed attempts have left."""
    for name in os.listdir(folder):
        if name.startswith(".making-"):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def shrink(source: Source, wanted_um: float) -> Any:
    """Return a volume whose voxels are means of boxes, about as large as wanted.

    Boxes have whole numbers of voxels along each axis. They are read slab by slab.
    """
    import numpy as np

    grid = source.grid
    steps = [max(round(wanted_um / 1000 / s), 1) for s in grid.spacing_mm_xyz]
    x, y, z = (max(n // step, 1) for n, step in zip(grid.size_xyz, steps, strict=True))
    sx, sy, sz = (min(step, n) for step, n in zip(steps, grid.size_xyz, strict=True))
    made = np.empty((z, y, x), np.float32)
    for k in range(z):
        slab = source.read((0, 0, k * sz), (x * sx, y * sy, (k + 1) * sz))
        made[k] = slab.reshape(sz, y, sy, x, sx).mean((0, 2, 4), dtype=np.float64)
    dx, dy, dz = grid.spacing_mm_xyz
    first = grid.place(((sx - 1) / 2, (sy - 1) / 2, (sz - 1) / 2))
    return image_on(Grid((x, y, z), (dx * sx, dy * sy, dz * sz), first, grid.direction), made)


def guess_map(fixed: Any, moving: Any, paths: tuple[str, str]) -> Any:
    """Return an affine map that brings centre and extent of one brain to those of the other.

    Parameters
    ----------
    fixed, moving
        The images.
    paths
        Their files, for messages.

    Raises
    ------
    AtlasFileError
        An image has no brain that is brighter than what is around it.
    """
    import numpy as np

    sitk = load_sitk()
    centre, spread = _centre_and_spread(fixed, paths[0])
    target, target_spread = _centre_and_spread(moving, paths[1])
    scale = np.clip(target_spread / spread, 1 / _MOST_SCALE, _MOST_SCALE)
    affine = sitk.AffineTransform(3)
    affine.SetMatrix(np.diag(scale).ravel().tolist())
    affine.SetCenter(centre.tolist())
    affine.SetTranslation((target - centre).tolist())
    return affine


def _centre_and_spread(image: Any, path: str) -> tuple[Any, Any]:
    """Return centre and standard deviation of the places of bright voxels, LPS in mm."""
    import numpy as np

    sitk = load_sitk()
    voxels = sitk.GetArrayViewFromImage(image)
    if not np.isfinite(voxels).all() or float(voxels.min()) == float(voxels.max()):
        raise AtlasFileError(f"{path}: is empty, or has values that are no finite numbers")
    mask = sitk.GetArrayFromImage(sitk.OtsuThreshold(image, 0, 1))
    index_xyz = np.argwhere(mask)[:, ::-1]
    direction = np.reshape(image.GetDirection(), (3, 3))
    places = (index_xyz * np.asarray(image.GetSpacing())) @ direction.T + image.GetOrigin()
    spread = places.std(0)
    if not (spread > 0).all():
        raise AtlasFileError(f"{path}: shows no brain that is brighter than what is around it")
    return places.mean(0), spread
