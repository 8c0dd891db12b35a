"""A generated brain with a known map to its template, for tests of registrars.

The template is an ellipsoid with a smooth random texture. The image is the template seen through a
map in closed form: an affine one, and waves. It has another brightness, orientation and voxel size.
"""

import numpy as np
import SimpleITK

STEP_MM = 0.2
SIZE_XYZ = (58, 66, 42)
CENTRE = np.array([-5.7, 6.6, -4.1])
HALF_MM = np.array([4.6, 5.4, 3.2])
MATRIX = np.array([[1.08, 0.05, -0.03], [-0.04, 0.93, 0.06], [0.02, -0.05, 1.04]])
SHIFT = np.array([8.1, 1.2, -6.3])
WAVE_MM = 0.25


def texture(places):
    """Return brightness at places of the template, LPS in mm."""
    random = np.random.default_rng(7)
    away = (places - CENTRE) / HALF_MM
    radius = np.sqrt((away**2).sum(-1))
    value = np.zeros(places.shape[:-1])
    for _ in range(40):
        wave = random.normal(size=3) * 2.2
        value += np.cos(places @ wave + random.uniform(0, 2 * np.pi))
    inside = 1 / (1 + np.exp((radius - 1) * 25))
    return inside * (400 + 15 * value)


def to_template(places):
    """Return where places of the image, LPS in mm, lie in the template."""
    moved = (places - SHIFT - CENTRE) @ np.linalg.inv(MATRIX).T + CENTRE
    x, y, z = np.moveaxis(moved, -1, 0)
    waves = [np.sin(y / 1.7), np.sin(z / 1.5 + 1), np.sin(x / 1.9 + 2)]
    return moved + WAVE_MM * np.stack(waves, -1)


def make_template():
    x, y, z = np.indices(SIZE_XYZ)
    places = np.stack([-x, y, -z], -1) * STEP_MM
    image = SimpleITK.GetImageFromArray(texture(places).transpose(2, 1, 0).astype(np.uint16))
    image.SetSpacing([STEP_MM] * 3)
    image.SetDirection([-1, 0, 0, 0, 1, 0, 0, 0, -1])
    return image


def brain_values(places):
    """Return the brightness of the image at its places: darker where the template is brighter."""
    value = texture(to_template(places))
    return np.where(value > 100, 900 - 0.8 * value, 8.2 * value)
