"""The steps from tiles to a volume: what each makes, and what it is made from.

    tiles → flat → corrected frames → alignment → volume

Each step has an identity, a digest of what its output depends on: files with size and time,
the identities of the steps before it, its own choices, and the form of its output. So a changed
choice has those steps done again that depend on it, and no others. A step that has nothing to do
makes nothing: frames that are not corrected are read where they are.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.stitching.choice_rules import check_choices, require_one_size
from spimpack_tasks.stitching.correct import Corrections
from spimpack_tasks.stitching.flat import FlatSettings
from spimpack_tasks.stitching.identity import digest, identify_tile
from spimpack_tasks.stitching.names import (
    ALIGNERS,
    ESTIMATED_FLAT,
    NO_FLAT,
    Interpolation,
    Signs,
)
from spimpack_tasks.stitching.pairs import SearchSettings
from spimpack_tasks.stitching.placing import place_tiles, require_near
from spimpack_tasks.stitching.spimstitch.align_file import read_either
from spimpack_tasks.stitching.tile_files import alignment_identity, read_tiles, require_files
from spimpack_tasks.stitching.tiles import turned_shape
from spimpack_tasks.stitching.working import check_target, check_work_dir, is_made
from spimpack_tasks.volumes.formats import NGFF
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance

if TYPE_CHECKING:
    from spimpack_tasks.stitching.align import Alignment
    from spimpack_tasks.stitching.tiles import TileSet

FLAT_FILE, FLAT_NOTE = "flat.tif", "flat.json"
ALIGNMENT_FILE, EXCHANGE_FILE, PAGE_FILE = "align.json", "align-spimstitch.json", "align.html"
"""Names in the working folder."""
_FLAT_FORM, _FRAMES_FORM, _ALIGN_FORM = 1, 2, 4
"""Raised when equal inputs give other outputs than before."""


@dataclass(frozen=True, slots=True)
class Choices:
    """A user's choices for the steps."""

    tiles: str
    """Path of the file of tiles."""
    output: str
    """Path of the OME-Zarr."""
    work_dir: str = ""
    """Folder for flat, corrected frames and alignment; beside the output if not given."""
    flat: str = NO_FLAT
    """`none`, `estimate`, or the path of a TIFF."""
    flat_settings: FlatSettings = field(default_factory=FlatSettings)
    corrections: Corrections = field(default_factory=Corrections)
    align: str = ALIGNERS[0]
    align_file: str = ""
    align_signs: Signs = "positions"
    align_reversed: str = ""
    """Axes along which the stage falls while pixels rise, in files of spimstitch."""
    search: SearchSettings = field(default_factory=SearchSettings)
    interpolation: Interpolation = "cubic"
    ngff: str = NGFF[0]
    codec: str = "blosc"
    name: str = ""
    channel_name: str = ""


@dataclass(frozen=True)
class Chain:
    """The steps for some choices.

    Raises
    ------
    SpimpackError
        By each property: the file of tiles, or a choice, is wrong.
    """

    choices: Choices

    @cached_property
    def tiles(self) -> TileSet:
        """The tiles as the stage has them."""
        check_choices(self.choices)
        path = self.choices.tiles
        tiles = read_tiles(path)
        if self.choices.flat != NO_FLAT:
            require_one_size(path, tiles)
        require_files(path, tiles)
        require_near(path, place_tiles(tiles, [tile.position_um_zyx for tile in tiles.tiles]))
        sources = [tile.path for tile in tiles.tiles]
        check_work_dir(self.work_dir, sources, self._made_there)
        check_target(self.choices.output, sources)
        return tiles

    @cached_property
    def work_dir(self) -> str:
        """Folder of what lies between tiles and volume."""
        return self.choices.work_dir or f"{self.choices.output}.work"

    @property
    def _made_there(self) -> list[str]:
        """Names of the files that are made in the working folder."""
        names = [] if self.choices.align == "file" else [ALIGNMENT_FILE, EXCHANGE_FILE, PAGE_FILE]
        return [*names, *([FLAT_FILE, FLAT_NOTE] if self.choices.flat == ESTIMATED_FLAT else [])]

    @cached_property
    def tile_ids(self) -> list[str]:
        """Identity of each tile as it was acquired."""
        geometry = self.tiles.geometry
        turns = (geometry.rotate_90, geometry.flip_ud)
        return [digest(identify_tile(tile), turns) for tile in self.tiles.tiles]

    # The flat

    @property
    def flat_path(self) -> str:
        """The TIFF of the flat, nothing where there is none."""
        chosen = self.choices.flat
        if chosen == NO_FLAT:
            return ""
        return f"{self.work_dir}/{FLAT_FILE}" if chosen == ESTIMATED_FLAT else chosen

    @cached_property
    def flat_id(self) -> str:
        """Identity of the flat, nothing where there is none."""
        chosen = self.choices.flat
        if chosen == NO_FLAT:
            return ""
        if chosen != ESTIMATED_FLAT:
            return digest(chosen, stamp_text(chosen))
        return digest(_FLAT_FORM, self.tile_ids, asdict(self.choices.flat_settings))

    def has_flat(self) -> bool:
        """Tell whether the flat is there, or none is wanted."""
        if self.choices.flat != ESTIMATED_FLAT:
            return True
        path = f"{self.work_dir}/{FLAT_NOTE}"
        try:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
        except (OSError, ValueError):
            return False
        is_right = isinstance(found, dict) and found.get("made_from") == self.flat_id
        return is_right and os.path.isfile(self.flat_path)

    # Corrected frames

    @cached_property
    def corrects(self) -> bool:
        """Whether frames are changed at all."""
        return self.choices.corrections.changes(has_flat=self.choices.flat != NO_FLAT)

    @cached_property
    def frame_ids(self) -> list[str]:
        """Identity of the frames of each tile that are aligned and stitched."""
        if not self.corrects:
            return self.tile_ids
        chosen = asdict(self.choices.corrections)
        return [digest(_FRAMES_FORM, each, self.flat_id, chosen) for each in self.tile_ids]

    def corrected_path(self, number: int) -> str:
        """Return the OME-Zarr of the corrected frames of a tile."""
        return f"{self.work_dir}/frames/tile{number:05d}.ome.zarr"

    def has_frames(self, number: int) -> bool:
        """Tell whether the frames of a tile are there as they are aligned and stitched."""
        return not self.corrects or is_made(self.corrected_path(number), self.frame_ids[number])

    @property
    def frames(self) -> TileSet:
        """The tiles whose frames are aligned and stitched."""
        if not self.corrects:
            return self.tiles
        geometry = self.tiles.geometry
        corrected = tuple(
            replace(
                tile,
                path=self.corrected_path(number),
                shape_frc=turned_shape(tile.shape_frc, geometry),
                form="",
                time_index=0,
                channel_index=0,
            )
            for number, tile in enumerate(self.tiles.tiles)
        )
        return replace(
            self.tiles, geometry=replace(geometry, rotate_90=0, flip_ud=False), tiles=corrected
        )

    # The alignment

    @property
    def alignment_path(self) -> str:
        """The file of the alignment."""
        is_given = self.choices.align == "file"
        return self.choices.align_file if is_given else f"{self.work_dir}/{ALIGNMENT_FILE}"

    @property
    def exchange_path(self) -> str:
        """The alignment once more, as spimstitch reads it."""
        return f"{self.work_dir}/{EXCHANGE_FILE}"

    @cached_property
    def given_alignment(self) -> Alignment:
        """The places of a file that the user has given, as this program or spimstitch writes it."""
        chosen = self.choices
        return read_either(chosen.align_file, self.tiles, chosen.align_signs, chosen.align_reversed)

    @cached_property
    def alignment_id(self) -> str:
        """Identity of the places of tiles."""
        if self.choices.align == "file":
            chosen = self.choices
            _ = self.given_alignment
            signs = (chosen.align_signs, chosen.align_reversed)
            return digest(chosen.align_file, stamp_text(chosen.align_file), signs)
        geometry = self.tiles.geometry
        stage = [(tile.name, tile.position_um_zyx) for tile in self.tiles.tiles]
        known: tuple[Any, ...] = (geometry.pitch_um, geometry.step_um, geometry.angle_deg)
        if self.choices.align_reversed:
            known = (*known, self.choices.align_reversed)
        if self.choices.align == "stage":
            return digest(_ALIGN_FORM, "stage", stage, known)
        if self.choices.align == "multiview":
            return digest(_ALIGN_FORM, "multiview", self.frame_ids, stage, known)
        return digest(_ALIGN_FORM, self.frame_ids, stage, known, asdict(self.choices.search))

    def has_alignment(self) -> bool:
        """Tell whether the alignment is there."""
        if self.choices.align == "file":
            return os.path.isfile(self.choices.align_file)
        return alignment_identity(self.alignment_path) == self.alignment_id

    # The volume

    @cached_property
    def volume_id(self) -> str:
        """Identity of the volume, before anything was made."""
        chosen = self.choices
        layout = (chosen.interpolation, chosen.ngff, chosen.codec, chosen.name, chosen.channel_name)
        return digest(self.frame_ids, self.alignment_id, asdict(self.tiles.geometry), layout)

    def has_volume(self) -> bool:
        """Tell whether the volume is there."""
        found = read_provenance(self.choices.output).get("planned_from")
        return found == self.volume_id and not os.path.islink(self.choices.output)
