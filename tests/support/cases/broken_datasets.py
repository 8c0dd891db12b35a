"""Broken datasets: each case changes one thing in a valid one, and says which codes that adds."""

# One case is one row, so rows are long.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from ome_sets import Xml, piece, stack
from ome_sets import write as write_ome

ZARR = "sub-01/micr/sub-01_sample-brain_acq-4x_SPIM.ome.zarr"
IMS = "sub-02/micr/sub-02_sample-brain_acq-4x_SPIM.ims"
TIFF = "sub-03/micr/sub-03_sample-brain_acq-4x_SPIM.ome.tif"
ZARR_JSON, IMS_JSON, TIFF_JSON = (f"{path.partition('.')[0]}.json" for path in (ZARR, IMS, TIFF))
DESCRIPTION = "dataset_description.json"


@dataclass(frozen=True)
class Case:
    """One change of a dataset."""

    id: str
    spoil: Callable[[Path], object]
    codes: frozenset[str] = frozenset()
    """What is found besides what is found in the valid dataset."""
    counts_chunks: bool = False
    """Whether the official validator tells of every file of a misnamed OME-Zarr."""


def case(identity: str, spoil: Callable[[Path], object], *codes: str, **further: bool) -> Case:
    return Case(identity, spoil, frozenset(codes), **further)


def rename(old: str, new: str):
    return lambda root: (root / old).rename(root / new)


def edit_json(path: str, **values: object):
    """Set keys of a JSON file; `...` takes a key away."""
    def spoil(root: Path) -> None:
        data = json.loads((root / path).read_text()) | values
        (root / path).write_text(json.dumps({k: v for k, v in data.items() if v is not ...}))

    return spoil


def write(path: str, text: str):
    def spoil(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    return spoil


def replace(path: str, old: str, new: str):
    def spoil(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, new, 1))

    return spoil


def append(path: str, text: str):
    return lambda root: (root / path).write_text((root / path).read_text() + text)


def remove(path: str):
    return lambda root: (root / path).unlink()


def link(path: str, target: str):
    """Put a link in the place of whatever is there."""
    def spoil(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).unlink(missing_ok=True)
        os.symlink(target, root / path)

    return spoil


def store(path: str, *names: str, content: str = "{}"):
    """Put a real OME-Zarr in the place of whatever is there, of files with these names."""
    def spoil(root: Path) -> None:
        (root / path).unlink(missing_ok=True)
        (root / path).mkdir(parents=True)
        for name in names:
            write(f"{path}/{name}", content)(root)

    return spoil


def edit_tiff(old: str, new: str):
    """Put a file with another OME-XML of the same length in the place of the OME-TIFF."""
    def spoil(root: Path) -> None:
        data = (root / TIFF).read_bytes()
        assert data.count(old.encode()) == 1
        assert len(old.encode()) == len(new.encode())
        remove(TIFF)(root)
        (root / TIFF).write_bytes(data.replace(old.encode(), new.encode()))

    return spoil


def one_of_a_set(root: Path) -> None:
    """Put one file of an OME-TIFF set where an image was."""
    voxels = stack(1, 2, 3)
    pieces = piece(IFD=0, PlaneCount=3) + piece("b.ome.tif", IFD=0, PlaneCount=3, FirstC=1)
    remove(TIFF)(root)
    sizes = 'PhysicalSizeX="1.8" PhysicalSizeY="1.8" PhysicalSizeZ="4"'
    write_ome(root / TIFF, voxels[0, 0], Xml(voxels, tiff_data=pieces, sizes=sizes).text())


def together(*spoils: Callable[[Path], object]):
    return lambda root: [spoil(root) for spoil in spoils]


def move_subject(root: Path) -> None:
    """Move a subject's folder elsewhere, and link it."""
    shutil.move(root / "sub-01", root.parent / "elsewhere")
    os.symlink(root.parent / "elsewhere", root / "sub-01")


def only_hidden(root: Path) -> None:
    """Leave the image that BIDS cannot hold, and nothing else."""
    for subject in ("sub-01", "sub-03"):
        shutil.rmtree(root / subject)
    for name in ("samples.tsv", "participants.tsv"):
        lines = (root / name).read_text().splitlines(keepends=True)
        (root / name).write_text("".join(line for line in lines if "-01" not in line and "-03" not in line))


ANNEXED = "../../.git/annex/objects/0w/1K/SHA256E-s4--ab12.tif/SHA256E-s4--ab12.tif"
LOWER = ZARR.replace("_SPIM", "_spim")
SAMPLES = "sample_id\tparticipant_id\tsample_type\n"

# What the official validator says is the same of the dataset and of its shadow.
BROKEN = [
    case("valid", lambda _: None),
    case("name", rename(ZARR, LOWER), "NOT_INCLUDED", "SIDECAR_WITHOUT_DATAFILE", counts_chunks=True),
    case("no-sample", together(rename(ZARR, ZARR.replace("_sample-brain", "")), rename(ZARR_JSON, ZARR_JSON.replace("_sample-brain", ""))), "MISSING_REQUIRED_ENTITY"),
    case("entity-order", rename(ZARR, ZARR.replace("_sample-brain_acq-4x", "_acq-4x_sample-brain")), "FILENAME_MISMATCH"),
    case("label", rename(ZARR, ZARR.replace("acq-4x", "acq-4-x")), "INVALID_ENTITY_LABEL", "SIDECAR_WITHOUT_DATAFILE", "SIDECAR_KEY_REQUIRED"),
    case("location", together(lambda root: (root / "sub-01/ses-1").mkdir(), rename("sub-01/micr", "sub-01/ses-1/micr")), "INVALID_LOCATION"),
    case("tiff-extension", rename(TIFF, TIFF.replace(".tif", ".btf"))),
    case("stray-file", write("notes.txt", "x"), "NOT_INCLUDED"),
    case("stray-folder", write("qc/report.html", "x"), "NOT_INCLUDED"),
    case("misnamed-store", rename(ZARR, ZARR.replace(".ome.zarr", ".OME.ZARR")), "NOT_INCLUDED", "SIDECAR_WITHOUT_DATAFILE", counts_chunks=True),
    case("store-named-ims", together(remove(TIFF), store(TIFF.replace(".ome.tif", ".ims"), "zarr.json", "0/c/0")), "NOT_INCLUDED", "SIDECAR_WITHOUT_DATAFILE", "SPIMPACK_HEADER_UNREADABLE", counts_chunks=True),
    case("not-ignored", remove(".bidsignore"), "EXTENSION_MISMATCH"),
    case("ignored-by-the-user", together(write("extra/a.txt", "x"), append(".bidsignore", "extra\n"))),
    case("type", edit_json(ZARR_JSON, PixelSize="1.8"), "JSON_SCHEMA_VALIDATION_ERROR"),
    case("missing-key", edit_json(ZARR_JSON, PixelSizeUnits=...), "SIDECAR_KEY_REQUIRED"),
    case("no-description", remove(DESCRIPTION), "MISSING_DATASET_DESCRIPTION"),
    case("description-type", edit_json(DESCRIPTION, Authors="A One"), "JSON_SCHEMA_VALIDATION_ERROR"),
    case("broken-json", write(ZARR_JSON, "{"), "JSON_INVALID", "SIDECAR_KEY_REQUIRED"),
    case("json-list", write(ZARR_JSON, "[]"), "JSON_NOT_AN_OBJECT", "SIDECAR_KEY_REQUIRED"),
    case("orphan", write(ZARR_JSON.replace("4x", "9x"), "{}"), "SIDECAR_WITHOUT_DATAFILE"),
    case("empty-file", together(remove(TIFF), write(TIFF, "")), "EMPTY_FILE", "SPIMPACK_HEADER_UNREADABLE"),
    case("empty-store", store(ZARR), "EMPTY_FILE", "SPIMPACK_HEADER_UNREADABLE"),
    case("empty-files-in-store", store(ZARR, "zarr.json", "0/c/0", content=""), "EMPTY_FILE", "SPIMPACK_HEADER_UNREADABLE"),
    case("hidden-files-in-store", store(ZARR, ".zattrs", ".zgroup", "0/.zarray"), "EMPTY_FILE", "SPIMPACK_HEADER_UNREADABLE"),
    case("chunk-in-store", store(ZARR, "0/0/0/0"), "SPIMPACK_HEADER_UNREADABLE"),
    case("extra-column", together(replace("participants.tsv", "participant_id", "participant_id\tmood"), replace("participants.tsv", "sub-01", "sub-01\tgood"), replace("participants.tsv", "sub-02", "sub-02\tgood"), replace("participants.tsv", "sub-03", "sub-03\tgood")), "TSV_ADDITIONAL_COLUMNS_UNDEFINED"),
    case("ragged-row", append("samples.tsv", "sample-b\n"), "TSV_EQUAL_ROWS", "TSV_COLUMN_MISSING"),
    case("sample-type", replace("samples.tsv", "tissue", "brain"), "TSV_VALUE_INCORRECT_TYPE"),
    case("double-row", append("participants.tsv", "sub-01\twt\n"), "TSV_INDEX_VALUE_NOT_UNIQUE", "PARTICIPANT_ID_MISMATCH"),
    case("no-such-subject", replace("participants.tsv", "sub-01", "sub-99"), "PARTICIPANT_ID_MISMATCH"),
    case("scan-of-nothing", write("sub-01/sub-01_scans.tsv", "filename\nmicr/none.ome.zarr\n"), "SCANS_FILENAME_NOT_MATCH_DATASET"),
    case("scan-of-hidden", write("sub-02/sub-02_scans.tsv", f"filename\n{IMS.removeprefix('sub-02/')}\n")),
    case("short-readme", together(remove("README.md"), write("README", "x")), "README_FILE_SMALL"),
    case("two-readmes", write("README", "x" * 200), "MULTIPLE_README_FILES"),
    case("a23-broken-link", link(ZARR, "/no/such.ome.zarr"), "SYMLINK_BROKEN", "SIDECAR_WITHOUT_DATAFILE"),
    case("broken-link-of-a-table", link("samples.tsv", "none.tsv"), "SYMLINK_BROKEN", "SIDECAR_WITHOUT_DATAFILE"),
    case("link-to-itself", link(ZARR, Path(ZARR).name), "SYMLINK_CYCLE", "SIDECAR_WITHOUT_DATAFILE"),
    case("linked-subject", move_subject),
    case("annexed", together(remove(TIFF), link(TIFF, ANNEXED), remove(TIFF_JSON), link(TIFF_JSON, ANNEXED.replace(".tif", ".json"))), "JSON_INVALID", "SIDECAR_KEY_REQUIRED", "SPIMPACK_LINK_BROKEN"),
    case("source-data", together(write("sourcedata/raw.czi", ""), link("sourcedata/gone", "/no/such"), write("derivatives/x/a.b", ""), write("code/.git/x", ""))),
    case("dot-names", together(write(".git/config", "x"), write("sub-01/.DS_Store", "x"), link(".gone", "/no/such"))),
    case("letter-case", together(store(ZARR.replace("brain", "Brain"), "zarr.json"), write(ZARR_JSON.replace("brain", "Brain"), '{"PixelSize": [1, 1], "PixelSizeUnits": "um"}')), "CASE_COLLISION", "SPIMPACK_CASE_COLLISION", "SPIMPACK_HEADER_UNREADABLE", "SPIMPACK_SAMPLE_UNLISTED"),
    case("only-hidden", only_hidden),
    case("a18-hidden-type", edit_json(IMS_JSON, PixelSize="1.8;1.8;4"), "JSON_SCHEMA_VALIDATION_ERROR"),
    case("a18-hidden-key", edit_json(IMS_JSON, PixelSizeUnits=...), "SIDECAR_KEY_REQUIRED"),
    case("a18-hidden-json", write(IMS_JSON, "{"), "JSON_INVALID", "SIDECAR_KEY_REQUIRED"),
    case("a18-inherited-by-hidden", together(only_hidden, write("SPIM.json", '{"PixelSize": "1"}')), "SIDECAR_WITHOUT_DATAFILE", "SIDECAR_FIELD_OVERRIDE"),
    case("hidden-and-gone", remove(IMS)),
    case("a23-hidden-broken-link", link(IMS, "/no/such.ims"), "SPIMPACK_LINK_BROKEN"),
]

# What the official validator does not say.
OWN = [
    case("no-samples", together(remove("samples.tsv"), remove("samples.json")), "SPIMPACK_SAMPLES_MISSING"),
    case("sample-unlisted", replace("samples.tsv", "sample-brain\tsub-01", "sample-liver\tsub-01"), "SPIMPACK_SAMPLE_UNLISTED", "SPIMPACK_SAMPLE_UNUSED"),
    case("sample-of-other-subject", append("samples.tsv", "sample-brain\tsub-09\ttissue\n"), "SPIMPACK_SAMPLE_UNUSED"),
    case("samples-empty", write("samples.tsv", SAMPLES), "SPIMPACK_SAMPLE_UNLISTED"),
    case("samples-without-column", write("samples.tsv", "sample_id\nsample-brain\n")),
    case("derived-from-listed", write("samples.tsv", SAMPLES.strip() + "\tderived_from\nsample-whole\tsub-01\ttissue\tn/a\n" + "".join(f"sample-brain\tsub-0{n}\ttissue\tsample-whole\n" for n in (1, 2, 3)))),
    case("derived-from-nothing", write("samples.tsv", SAMPLES.strip() + "\tderived_from\n" + "".join(f"sample-brain\tsub-0{n}\ttissue\tsample-x\n" for n in (1, 2, 3))), "SPIMPACK_DERIVED_FROM_UNKNOWN"),
    case("derivative-without-samples", together(remove("samples.tsv"), edit_json(DESCRIPTION, DatasetType="derivative"))),
    case("generated-by-nobody", edit_json(DESCRIPTION, DatasetType="derivative", GeneratedBy=...), "SPIMPACK_GENERATED_BY_MISSING"),
    case("no-type-but-generated", together(remove("samples.tsv"), edit_json(DESCRIPTION, DatasetType=...))),
    case("subjects-by-case", together(write("sub-aB/micr/x.txt", ""), write("sub-AB/micr/x.txt", "")), "SPIMPACK_CASE_COLLISION"),
    case("key-twice", write(ZARR_JSON, '{"PixelSize": [9, 9, 9], "PixelSizeUnits": "um", "PixelSize": [1.8, 1.8, 4]}'), "SPIMPACK_JSON_DUPLICATE_KEY"),
    case("inner-key-twice", write("participants.json", '{"sex": {"Levels": {"F": 1, "F": 2}}}'), "SPIMPACK_JSON_DUPLICATE_KEY"),
    case("deep-json", write("participants.json", '{"a":' * 5000)),
    case("pixel-size", edit_json(ZARR_JSON, PixelSize=[1.81, 1.8, 4]), "SPIMPACK_PIXEL_SIZE"),
    case("pixel-size-order", edit_json(ZARR_JSON, PixelSize=[4, 1.8, 1.8]), "SPIMPACK_PIXEL_SIZE"),
    case("pixel-size-unit", edit_json(ZARR_JSON, PixelSizeUnits="mm"), "SPIMPACK_PIXEL_SIZE"),
    case("pixel-size-in-mm", edit_json(ZARR_JSON, PixelSize=[0.0018, 0.0018, 0.004], PixelSizeUnits="mm")),
    case("pixel-size-of-hidden", edit_json(IMS_JSON, PixelSize=[1.8, 1.8, 5]), "SPIMPACK_PIXEL_SIZE"),
    case("pixel-size-of-tiff", edit_json(TIFF_JSON, PixelSize=[1.8, 1.9, 4]), "SPIMPACK_PIXEL_SIZE"),
    case("pixel-size-in-two-axes", edit_json(ZARR_JSON, PixelSize=[1.8, 1.8])),
    case("pixel-size-close", edit_json(ZARR_JSON, PixelSize=[1.8017, 1.8, 4])),
    case("pixel-size-overridden", edit_json(ZARR_JSON, PixelSize=[9, 9, 9], OverriddenHeaderValues={"PixelSize": [1.8, 1.8, 4]})),
    case("other-key-overridden", edit_json(ZARR_JSON, PixelSize=[9, 9, 9], OverriddenHeaderValues={"Magnification": 4}), "SPIMPACK_PIXEL_SIZE"),
    case("pixel-size-no-number", edit_json(ZARR_JSON, PixelSize=["1", True, None])),
    case("pixel-size-no-unit", edit_json(ZARR_JSON, PixelSizeUnits=["um"])),
    case("unreadable-header", together(remove(TIFF), write(TIFF, "II*")), "SPIMPACK_HEADER_UNREADABLE"),
    case("b2-one-file-of-a-set", one_of_a_set, "SPIMPACK_SET_INCOMPLETE"),
    case("link-broken", link(ZARR, "/no/such.ome.zarr"), "SPIMPACK_LINK_BROKEN"),
    case("link-broken-inside", together(remove(ZARR), link(f"{ZARR}/zarr.json", "/no/such")), "SPIMPACK_LINK_BROKEN", "SPIMPACK_HEADER_UNREADABLE"),
]


def parameters(cases: list[Case], *, slow: bool = False):
    marks = [pytest.mark.slow] if slow else []
    return [pytest.param(c, id=c.id, marks=marks) for c in cases]

IMAGES = [
    case("size-of-the-image", edit_tiff('PhysicalSizeX="1.8"', 'PhysicalSizeX="9.5"'), "PIXEL_SIZE_INCONSISTENT"),
    case("unit-of-the-image", edit_tiff('PhysicalSizeXUnit="µm"', 'PhysicalSizeXUnit="pxl"'), "PIXEL_SIZE_INCONSISTENT"),
]
"""Broken images of which the sidecars say the same as before."""
