"""Atlases in other forms: folders of brainglobe, plain labels, names of regions."""

import json

import numpy as np
import pytest
import SimpleITK
import tifffile
from alignment_root import LABELS

from spimpack_tasks.alignment.atlas import (
    AtlasFileError,
    Structure,
    acronym_of,
    read_atlas_grid,
    read_atlas_image,
    read_atlas_labels,
    read_structures,
)
from spimpack_tasks.alignment.chain import checked_chain
from spimpack_tasks.alignment.region_volumes import compose_volumes
from spimpack_tasks.alignment.regions import compose_regions, find_regions

STRUCTURES = [
    {"id": 997, "acronym": "root", "name": "root", "structure_id_path": [997]},
    {"id": 312782628, "acronym": "VISpor5", "name": "Postrhinal area, layer 5"},
]


@pytest.fixture
def folder(tmp_path):
    """Return a folder of brainglobe whose axes begin at the anterior, superior and right end."""
    metadata = {"orientation": "asr", "resolution": [100, 50, 25], "shape": [4, 5, 6]}
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    (tmp_path / "structures.json").write_text(json.dumps(STRUCTURES))
    voxels = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)
    tifffile.imwrite(tmp_path / "reference.tiff", voxels, photometric="minisblack")
    labels = np.where(voxels < 60, 997, 312782628).astype(np.uint32)
    tifffile.imwrite(tmp_path / "annotation.tiff", labels, photometric="minisblack")
    return tmp_path


def test_a_folder_of_brainglobe_lies_as_its_metadata_say(folder):
    image = read_atlas_image(str(folder / "reference.tiff"))
    assert image.GetSize() == (6, 5, 4)
    assert image.GetSpacing() == pytest.approx((0.025, 0.05, 0.1))
    # Right is at -5 steps in LPS where the leftmost voxel is 0; anterior and superior are 0.
    assert image.GetOrigin() == pytest.approx((-0.125, 0, 0))
    for (i, j, k), place in {
        (5, 0, 0): (0, 0, 0),
        (0, 4, 0): (-0.125, 0, -0.2),
        (0, 0, 3): (-0.125, 0.3, 0),
    }.items():
        assert image.TransformIndexToPhysicalPoint((i, j, k)) == pytest.approx(place)
        assert image.GetPixel(i, j, k) == k * 30 + j * 6 + i


def test_the_files_of_a_folder_stand_in_for_options(folder):
    values = {"data_root": folder, "results_root": folder / "out", "atlas": folder}
    choices = checked_chain(values).choices
    assert choices.ccf_labels == str(folder / "annotation.tiff")
    assert choices.label_ids == "none"
    assert choices.structures == str(folder / "structures.json")
    own = checked_chain(values | {"ccf_labels": "own.nrrd"}).choices
    assert own.ccf_labels == str(folder / "own.nrrd")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("orientation", "abc", "has the orientation 'abc'"),
        ("shape", [4, 5], "describes no atlas"),
        ("resolution", [0, 1, 1], "sizes of 0"),
        ("shape", [4, 5, 7], "metadata.json says"),
    ],
)
def test_wrong_metadata_of_brainglobe_are_named(folder, key, value, said):
    path = folder / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(AtlasFileError, match=said):
        read_atlas_image(str(folder / "reference.tiff"))


def test_large_labels_are_found_along_a_track(folder):
    labels = read_atlas_labels(str(folder / "annotation.tiff"), "none")
    grid = read_atlas_grid(str(folder / "annotation.tiff"))
    ends = [grid.place((2, 2, 0)), grid.place((2, 2, 3))]
    samples = find_regions(ends, labels, (0, 0, 0))
    assert [samples[0].label, samples[-1].label] == [997, 312782628]
    assert labels.at((5.0, 5.0, 5.0)) == 0
    lines = compose_regions(samples, read_structures(str(folder / "structures.json"))).splitlines()
    head = "distance_um\tx_um\ty_um\tz_um\tregion_id\tacronym\themisphere"
    assert lines[0] == head
    assert lines[1].split("\t")[4:6] == ["997", "root"]
    assert lines[-1].split("\t")[4:6] == ["312782628", "VISpor5"]
    assert float(lines[-1].split("\t")[0]) == 300


@pytest.mark.parametrize("ending", ["json", "csv", "tsv"])
def test_names_of_regions_are_read_from_tables(tmp_path, ending):
    path = tmp_path / f"regions.{ending}"
    comma = "\t" if ending == "tsv" else ","
    rows = [["id", "acronym"], ["997", "root"], ["312782628", "VISpor5"]]
    text = "\n".join(comma.join(row) for row in rows)
    path.write_text(json.dumps(STRUCTURES) if ending == "json" else text)
    found = read_structures(str(path))
    assert acronym_of(997, found) == acronym_of(-997, found) == "root"
    assert acronym_of(5, found) == "n/a"


@pytest.mark.parametrize(
    "text",
    ["id,name\n1,a\n", "id,acronym\nx,a\n", "id,acronym\n,\n"],
    ids=["column", "id", "empty"],
)
def test_tables_without_ids_and_acronyms_are_named(tmp_path, text):
    path = tmp_path / "regions.csv"
    path.write_text(text)
    with pytest.raises(AtlasFileError, match="has no regions with id and acronym"):
        read_structures(str(path))


def write_labels(tmp_path, voxels):
    path = tmp_path / "labels.nrrd"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(path))
    return str(path)


@pytest.mark.parametrize(
    ("voxels", "ids", "said"),
    [
        (np.full((2, 2, 2), 1.5), "none", "labels that are no whole numbers"),
        (np.full((2, 2, 2), np.nan), "none", "labels that are no whole numbers"),
        (np.full((2, 2, 2), 2**31, np.uint32), "none", "labels above 2147483647"),
        (np.full((2, 2, 2), -1, np.int16), "ids.npz", "has negative places"),
        (np.full((2, 2, 2), 11, np.int16), "ids.npz", "places up to 11, but there are only 11 ids"),
    ],
)
def test_labels_that_cannot_be_are_named(tmp_path, voxels, ids, said):
    np.savez(tmp_path / "ids.npz", unique_labels=LABELS)
    path = write_labels(tmp_path, voxels)
    with pytest.raises(AtlasFileError, match=said):
        read_atlas_labels(path, ids if ids == "none" else str(tmp_path / ids)).at((0, 0, 0))


def test_labels_as_floats_are_labels(tmp_path):
    voxels = np.full((2, 2, 2), 7.0, np.float32)
    voxels[0, 0, 0] = 8
    path = write_labels(tmp_path, voxels)
    assert read_atlas_labels(path, "none").at((1, 1, 1)) == 7


def test_volumes_of_regions_are_voxels_times_their_size():
    table = compose_volumes({0: 5, -997: 3, 997: 8}, (0.1, 0.2, 0.5), {997: Structure("root")})
    assert table.splitlines()[1:] == [
        "-997\troot\tleft\t3\t0.030000",
        "997\troot\tright\t8\t0.080000",
    ]
    assert compose_volumes({7: 1}, (1, 1, 1), {}).splitlines()[1:] == ["7\tn/a\tn/a\t1\t1.000000"]
