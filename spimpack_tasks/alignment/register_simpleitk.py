"""Registers two images by SimpleITK alone: an affine map, then diffeomorphic demons.

The affine map maximises mutual information, so the stains of image and template may differ. Demons
compare brightness, so the brain gets the brightness that the template has, on average, where the
brain has its own. All random numbers have a seed, so equal inputs give equal bytes.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spimpack_tasks.alignment import names
from spimpack_tasks.alignment.transforms import load_sitk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spimpack_tasks.alignment.registering import RegistrationInput

_BINS = 32
"""Of the histograms of mutual information and of brightness: enough for 10,000 samples."""
_SAMPLED = 0.2
"""Part of the voxels that the affine map is measured by."""
_SEED = 20
"""Of the samples: any one, as long as it is the same for all runs."""
_AFFINE_STEPS = 150
"""Steps at each resolution at the most; most end earlier."""
_ROUNDS = ((2, 60), (1, 40))
"""Shrink factor and steps of the rounds of demons: brightness is compared again in each."""
_SMOOTHING_VOXELS = 2.5
"""Standard deviation of the smoothing of displacements: deformations of brains are smooth. Half of
it follows noise, and twice of it misses waves of a centimetre (measured on a generated brain)."""
_INVERSE_STEPS = 60
"""Of the inversion of displacements, which ends at a thousandth of a voxel."""


def register(images: RegistrationInput, folder: str) -> None:
    """Register, and write the files of the registration as ANTs names them."""
    sitk = load_sitk()
    affine = _find_affine(images)
    warp = _find_displacements(images, affine)
    inverse = sitk.InvertDisplacementField(
        warp, maximumNumberOfIterations=_INVERSE_STEPS, meanErrorToleranceThreshold=1e-5,
        maxErrorToleranceThreshold=1e-3,
    )  # fmt: skip
    known = names.ants_names("")
    sitk.WriteTransform(affine, os.path.join(folder, known.affine))
    for field, name in ((warp, known.warp), (inverse, known.inverse_warp)):
        path = os.path.join(folder, name)
        sitk.WriteImage(sitk.Cast(field, sitk.sitkVectorFloat32), path, useCompression=True)


def _find_affine(images: RegistrationInput) -> Any:
    """Return the affine map from places of the template to those of the brain."""
    sitk = load_sitk()
    affine = sitk.AffineTransform(images.guess)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(_SAMPLED, _SEED)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-4, numberOfIterations=_AFFINE_STEPS, relaxationFactor=0.7,
        gradientMagnitudeTolerance=1e-8,
    )  # fmt: skip
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetInitialTransform(affine, inPlace=True)
    with _one_thread():
        method.Execute(images.fixed, images.moving)
    return affine


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let SimpleITK use one thread: several would sum in another order in each run.

    The number of a registration alone is not that of its measure.
    """
    kind = load_sitk().ProcessObject
    before = kind.GetGlobalDefaultNumberOfThreads()
    kind.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        kind.SetGlobalDefaultNumberOfThreads(before)


def _find_displacements(images: RegistrationInput, affine: Any) -> Any:
    """Return displacements on the grid of the template, which precede the affine map."""
    sitk = load_sitk()
    fixed = images.fixed
    field = sitk.Image(fixed.GetSize(), sitk.sitkVectorFloat64, 3)
    field.CopyInformation(fixed)
    for factor, steps in _ROUNDS:
        transform = sitk.CompositeTransform(3)
        transform.AddTransform(affine)
        transform.AddTransform(sitk.DisplacementFieldTransform(sitk.Image(field)))
        like = _like(fixed, sitk.Resample(images.moving, fixed, transform, sitk.sitkLinear))
        # The brain without its own displacements, at its new brightness.
        moved = sitk.Resample(
            _with_brightness(images.moving, *like), fixed, affine, sitk.sitkLinear
        )
        small = [_shrunk(each, factor) for each in (fixed, moved)]
        start = sitk.Resample(field, small[0], sitk.Transform(3, sitk.sitkIdentity))
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfIterations(steps)
        demons.SmoothDisplacementFieldOn()
        demons.SetStandardDeviations(_SMOOTHING_VOXELS)
        demons.SetUseGradientType(demons.Symmetric)
        found = demons.Execute(*small, start)
        field = sitk.Resample(found, fixed, sitk.Transform(3, sitk.sitkIdentity))
    return field


def _like(fixed: Any, moved: Any) -> tuple[Any, Any]:
    """Return brightnesses of the brain, and the mean one of the template at each of them."""
    import numpy as np

    sitk = load_sitk()
    wanted, own = (sitk.GetArrayViewFromImage(image).ravel() for image in (fixed, moved))
    edges = np.linspace(own.min(), np.percentile(own, 99.9) + 1e-6, _BINS + 1)
    number = np.clip(np.digitize(own, edges) - 1, 0, _BINS - 1)
    counts = np.bincount(number, minlength=_BINS)
    sums = np.bincount(number, wanted, minlength=_BINS)
    known = counts > 0
    return (edges[:-1] + np.diff(edges) / 2)[known], sums[known] / counts[known]


def _with_brightness(image: Any, own: Any, wanted: Any) -> Any:
    import numpy as np

    sitk = load_sitk()
    voxels = np.interp(sitk.GetArrayViewFromImage(image), own, wanted).astype(np.float32)
    made = sitk.GetImageFromArray(voxels)
    made.CopyInformation(image)
    return made


def _shrunk(image: Any, factor: int) -> Any:
    return load_sitk().BinShrink(image, [factor] * 3) if factor > 1 else image
