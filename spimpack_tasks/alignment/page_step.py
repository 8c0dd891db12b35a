"""Writes the page on an aligned brain from the results of the other steps."""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING

from spimpack_tasks.alignment import names
from spimpack_tasks.alignment.atlas import read_atlas_labels
from spimpack_tasks.alignment.page import BrainPage, TrackView, compose_page
from spimpack_tasks.alignment.page_pictures import draw_silhouettes, draw_slices
from spimpack_tasks.alignment.recording import record, write_text
from spimpack_tasks.alignment.steps import regions_path
from spimpack_tasks.alignment.transforms import turned_grid
from spimpack_tasks.alignment.volumes import channel_path

if TYPE_CHECKING:
    from spimpack_tasks.alignment.chain import Chain
    from spimpack_tasks.alignment.manifest import ProbeRow


def write_alignment_page(chain: Chain) -> None:
    """Write the page.

    Raises
    ------
    AtlasFileError, OSError
        A result is missing or damaged.
    """
    brain, folder, choices = chain.brain, chain.folder, chain.choices
    channel = brain.channels[0].name
    labels_path = f"{names.IMAGE_SPACE}/{names.LABELS_IN_IMAGE}.nrrd"
    paths = [os.path.join(folder, each) for each in (channel_path(chain, channel), labels_path)]
    spacing = turned_grid(brain.base()).spacing_mm_xyz
    labels = read_atlas_labels(choices.ccf_labels, choices.label_ids)
    page = BrainPage(
        chain.rows[0].mouse_id,
        channel,
        draw_slices(paths[0], paths[1], spacing),
        draw_silhouettes(labels, choices.bregma_um),
        [_track_view(chain, row) for row in chain.good_rows],
        [str(each) for each in chain.gaps],
    )
    write_text(os.path.join(folder, names.QC_PAGE), compose_page(page))
    record(chain, "page", chain.page_id, [names.QC_PAGE])


def _track_view(chain: Chain, row: ProbeRow) -> TrackView:
    path = os.path.join(chain.folder, regions_path(row))
    with open(path, encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file, delimiter="\t")]
    samples = []
    for cell in rows:
        label, acronym = cell["region_id"], cell["acronym"]
        region = acronym if acronym != "n/a" else label if label != "0" else "outside"
        place = (float(cell["x_um"]), float(cell["y_um"]), float(cell["z_um"]))
        samples.append((float(cell["distance_um"]), place, region))
    return TrackView(row.key, tuple(samples))
