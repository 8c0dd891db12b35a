"""Registers two images by ANTs (SyN), through antspyx."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment import names
from spimpack_tasks.alignment.transforms import grid_of, load_sitk
from spimpack_tasks.volumes.header import load_library

if TYPE_CHECKING:
    from spimpack_tasks.alignment.registering import RegistrationInput

_SEED = 20
"""Of the samples of mutual information: any one, as long as it is the same for all runs."""


def register(images: RegistrationInput, folder: str) -> None:
    """Register, and write the files of the registration as ANTs names them.

    Raises
    ------
    MissingExtraError
        antspyx is not installed.
    """
    ants = load_library("ants", "registration")
    guess = os.path.join(folder, "guess.mat")
    load_sitk().WriteTransform(images.guess, guess)
    made = ants.registration(
        fixed=_ants_image(ants, images.fixed),
        moving=_ants_image(ants, images.moving),
        type_of_transform="SyN",
        initial_transform=guess,
        outprefix=os.path.join(folder, "made_"),
        random_seed=_SEED,
    )
    known = names.ants_names("")
    warp, affine = made["fwdtransforms"]
    inverse = made["invtransforms"][-1]
    for path, name in ((affine, known.affine), (warp, known.warp), (inverse, known.inverse_warp)):
        shutil.move(path, os.path.join(folder, name))


def _ants_image(ants: Any, image: Any) -> Any:
    """Return an image of SimpleITK as one of antspyx, whose arrays are x, y, z."""
    import numpy as np

    grid = grid_of(image)
    voxels = load_sitk().GetArrayFromImage(image).astype("float32").transpose(2, 1, 0)
    return ants.from_numpy(
        np.ascontiguousarray(voxels),
        origin=tuple(grid.origin_mm_lps),
        spacing=tuple(grid.spacing_mm_xyz),
        direction=np.reshape(grid.direction, (3, 3)),
    )
