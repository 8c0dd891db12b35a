"""Bad inputs: each case breaks one thing in a valid study, and says what is to be reported.

`place` is `file:line:column`, `file:line` or `file`, as the message shows it; a shorter one leaves
the rest open. `says` is a text that the message must hold, such as the offending value. An id with a
number in front is what tests/system/test_bids_acceptance.py asks for under that number.
"""

# One case is one row, so rows are long.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_images import write_silent_image


@dataclass(frozen=True)
class Case:
    """One bad input."""

    id: str
    spoil: Callable
    code: str
    place: str
    says: str = ""
    also: tuple[tuple[str, str], ...] = ()
    """Further expected problems: code and place."""


def manifest(old: str, new: str):
    return lambda study: study.replace("manifest.yml", old, new)


def inline(old: str, new: str):
    def spoil(study):
        study.inline()
        study.replace("manifest.yml", old, new)

    return spoil


def as_manifest(content: str | bytes):
    return lambda study: study.write("manifest.yml", content)


def without_tables(content: str):
    return lambda study: study.inline(content)


def cell(line: int, column: str, text: str):
    return lambda study: study.cell(line, column, text)


def column(name: str, text: str):
    return lambda study: study.column(name, text)


def columns(**texts: str):
    def spoil(study):
        for name, text in texts.items():
            study.column(name, text)

    return spoil


def rename(old: str, new: str):
    return lambda study: study.rename(old, new)


def drop(*names: str):
    return lambda study: study.drop(*names)


def row(**cells: str):
    return lambda study: study.add_row(**cells)


def table(old: str, new: str):
    return lambda study: study.replace("scans.tsv", old, new)


def as_table(content: str | bytes):
    return lambda study: study.write("scans.tsv", content)


def participants(old: str, new: str):
    return lambda study: study.replace("participants.tsv", old, new)


def described(text: str, *, key: str = ""):
    """Put a participants.json beside the manifest, or below the name that a key gives."""

    def spoil(study):
        study.write(key or "participants.json", text)
        if key:
            study.write("manifest.yml", study.path("manifest.yml").read_text() + f"participants_json: {key}\n")

    return spoil


def option(**changes):
    return lambda study: study.options.update(changes)


def source(name: str, make: Callable = lambda _: None):
    """Point the second row at a source of another kind, which `make` makes at its path."""

    def spoil(study):
        path = study.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        study.cell(3, "spim_path", name)

    return spoil


def scenes(study):
    """Point the second row at an OME-Zarr."""
    study.add_source("raw/scenes.ome.zarr")
    study.cell(3, "spim_path", "raw/scenes.ome.zarr")


def silent(study):
    """Point the second row at an image that does not tell the size of its pixels."""
    write_silent_image(study.path("raw/silent.tif"))
    study.cell(3, "spim_path", "raw/silent.tif")


def silent_all_but(line: int):
    def spoil(study):
        write_silent_image(study.path("raw/silent.tif"))
        for other in {2, 3, 4} - {line}:
            study.cell(other, "spim_path", "raw/silent.tif")

    return spoil


def as_zarr(line: int, change: tuple[str, str]):
    """Point a row at an OME-Zarr with a change in its metadata."""

    def spoil(study):
        study.add_source("raw/other.ome.zarr")
        study.replace("raw/other.ome.zarr/zarr.json", *change)
        study.cell(line, "spim_path", "raw/other.ome.zarr")

    return spoil


def planes(*spoil: Callable[[Path], object], **options: str):
    """Point the second row at a folder of three planes, spoiled, for a backend that converts it."""

    def point(study):
        import numpy as np
        import tifffile

        folder = study.path("raw/planes")
        folder.mkdir()
        for number in range(3):
            tifffile.imwrite(folder / f"Z{number}.tif", np.full((8, 9), number, "uint16"))
        for each in spoil:
            each(folder)
        study.cell(3, "spim_path", "raw/planes")
        study.options.update({"backend": "ome-zarr"} | options)

    return point


def wide_plane(folder):
    import numpy as np
    import tifffile

    tifffile.imwrite(folder / "Z1.tif", np.zeros((8, 10), "uint16"))


def with_lens(study):
    """Let the image of the second row tell the magnification of its objective."""
    import h5py
    import numpy as np

    with h5py.File(study.path("raw/two.ims"), "r+") as file:
        file["DataSetInfo/Image"].attrs["LensPower"] = np.array([b"4", b"x"], "S1")


def defaults_text(text: str):
    return lambda study: study.replace("manifest.yml", "scans_tsv:", f"{text}\nscans_tsv:")


def defaults(line: str):
    return defaults_text(f"sidecar_defaults:\n  {line}")


def photo(**cells: str | None):
    """Add a table with a photo of the second row's sample, some cells changed or left out."""

    def spoil(study):
        for name in ("photo.jpg", "photo.png"):
            study.write(f"raw/{name}", b"\xff\xd8\xff")
        row = {"subject": "02", "sample": "brain", "photo_path": "raw/photo.jpg"} | cells
        row = {name: text for name, text in row.items() if text is not None}
        study.write("photos.tsv", "\t".join(row) + "\n" + "\t".join(row.values()) + "\n")

    return spoil


def several(*spoilers: Callable):
    def spoil(study):
        for one in spoilers:
            one(study)

    return spoil


def to_directory(name: str):
    def spoil(study):
        study.path(name).unlink()
        study.path(name).mkdir()

    return spoil


def to_pipe(name: str):
    def spoil(study):
        study.path(name).unlink()
        os.mkfifo(study.path(name))

    return spoil


def loop(path):
    path.symlink_to(path.name)


def broken(path):
    path.symlink_to("nowhere.ims")


def foreign(name: str, text: str = "mine\n"):
    return lambda study: study.write(f"out/{name}", text)


def hardlink_across_disks(study):
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == study.folder.stat().st_dev:
        pytest.skip("there is no second disk")
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    study.cleanup.append(folder)
    (folder / "two.ims").write_bytes(b"x")
    study.options["backend"] = "hardlink"
    study.cell(3, "spim_path", str(folder / "two.ims"))


def many_brackets(study):
    study.write("manifest.yml", "dataset_description: " + "[" * 20_000)


def alias_bomb(study):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 10):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{aliases}]")
    study.write("manifest.yml", "\n".join(lines) + "\n")


DESCRIPTION = [
    Case("manifest-no-description", as_manifest("scans_tsv: scans.tsv\n"),
         "key.missing", "manifest.yml:1", "dataset_description"),
    Case("description-null", as_manifest("dataset_description:\nscans_tsv: scans.tsv\n"),
         "value.empty", "manifest.yml:1", "must be a mapping"),
    Case("description-is-a-list", as_manifest("dataset_description: [a]\nscans_tsv: scans.tsv\n"),
         "value.type", "manifest.yml:1:22", "['a']"),
    Case("name-missing", manifest("  Name: Demo\n", ""), "key.missing", "manifest.yml:1", "Name"),
    Case("name-empty", manifest("Name: Demo", 'Name: ""'), "value.empty", "manifest.yml:2:9"),
    Case("name-blank", manifest("Name: Demo", 'Name: "  "'), "value.empty", "manifest.yml:2:9"),
    Case("name-null", manifest("Name: Demo", "Name:"), "value.empty", "manifest.yml:2:8"),
    Case("name-number", manifest("Name: Demo", "Name: 0123"), "value.type", "manifest.yml:2:9", "0123"),
    Case("name-list", manifest("Name: Demo", "Name: [Demo]"), "value.type", "manifest.yml:2:9", "['Demo']"),
    Case("name-misspelt", manifest("Name: Demo", "Nmae: Demo"), "key.missing", "manifest.yml:2:3", "rename 'Nmae'"),
    Case("version-missing", manifest('  BIDSVersion: "1.10.0"\n', ""), "key.missing", "manifest.yml:1", "BIDSVersion"),
    Case("version-empty", manifest('"1.10.0"', '""'), "value.empty", "manifest.yml:3:16"),
    Case("version-null", manifest('"1.10.0"', "~"), "value.empty", "manifest.yml:3:16"),
    Case("a06-version-number", manifest('"1.10.0"', "1.10"), "value.type", "manifest.yml:3:16", "1.10"),
    Case("a06-version-with-v", manifest('"1.10.0"', "v1.9.0"), "value.form", "manifest.yml:3:16", "'v1.9.0'"),
    Case("a06-version-line-end", manifest('"1.10.0"', r'"1.10.0\n"'), "value.form", "manifest.yml:3:16", r"'1.10.0\n'"),
    Case("type-missing", manifest("  DatasetType: raw\n", ""), "key.missing", "manifest.yml:1", "DatasetType"),
    Case("type-empty", manifest(": raw", ': ""'), "value.empty", "manifest.yml:4:16"),
    Case("type-null", manifest(": raw", ": null"), "value.empty", "manifest.yml:4:16"),
    Case("type-unknown", manifest(": raw", ": derived"), "value.choice", "manifest.yml:4:16", "'derived' is not allowed; did you mean 'derivative'?"),
    Case("type-capital", manifest(": raw", ": RAW"), "value.choice", "manifest.yml:4:16", "did you mean 'raw'?"),
    Case("type-truth", manifest(": raw", ": yes"), "value.choice", "manifest.yml:4:16", "yes"),
    Case("licence-missing", manifest("  License: CC0\n", ""), "key.missing", "manifest.yml:1", "License"),
    Case("licence-empty", manifest(": CC0", ": ''"), "value.empty", "manifest.yml:5:12"),
    Case("licence-null", manifest(": CC0", ":"), "value.empty", "manifest.yml:5"),
    Case("licence-british", manifest("License", "Licence"), "key.missing", "manifest.yml:5:3", "rename 'Licence'"),
    Case("licence-number", manifest(": CC0", ": 4.0"), "value.type", "manifest.yml:5:12", "4.0"),
    Case("two-keys-missing", manifest('  Name: Demo\n  BIDSVersion: "1.10.0"\n', ""),
         "key.missing", "manifest.yml:1", "Name", (("key.missing", "manifest.yml:1"),)),
    Case("authors-text", manifest("Authors:\n    - Ada Lovelace\n    - Santiago Ramón y Cajal", "Authors: Ada Lovelace"),
         "value.type", "manifest.yml:6:12", "must be a list, not 'Ada Lovelace'; write [Ada Lovelace]"),
    Case("authors-numbers", manifest("- Ada Lovelace", "- 1815"), "value.type", "manifest.yml:7:7", "1815"),
    Case("authors-blank", manifest("- Ada Lovelace", "- ''"), "value.empty", "manifest.yml:7:7"),
    Case("authors-mapping", manifest("- Ada Lovelace", "- Ada: Lovelace"), "value.type", "manifest.yml:7:7", "{'Ada': 'Lovelace'}"),
    Case("a05-generated-by-spread", manifest("  License: CC0", "  License: CC0\n  GeneratedBy: [{Name: a}, {Version: '1'}]"),
         "key.missing", "manifest.yml:6", "dataset_description.GeneratedBy[1].Name"),
    Case("a05-generated-by-number", manifest("  License: CC0", "  License: CC0\n  GeneratedBy: [{Name: a, Version: 1.0}]"),
         "value.type", "manifest.yml:6:36", "1.0"),
    Case("description-misspelt", manifest("  License: CC0", "  License: CC0\n  Fundings: [me]"),
         "key.unknown", "manifest.yml:6:3", "did you mean 'Funding'?"),
    Case("required-fields-text", manifest("  License: CC0", "  License: CC0\n  RequiredMicroscopyFields: Immersion"),
         "value.type", "manifest.yml:6:29", "'Immersion'"),
    Case("required-field-absent", manifest("  License: CC0", "  License: CC0\n  RequiredMicroscopyFields: [Immersion]"),
         "sidecar.required", "scans.tsv:1", "Immersion"),
    Case("required-field-empty", several(
            manifest("  License: CC0", "  License: CC0\n  RequiredMicroscopyFields: [Immersion]"),
            columns(Immersion="oil"), cell(3, "Immersion", "")),
         "sidecar.required", "scans.tsv:3:56", "Immersion"),
]

YAML = [
    Case("manifest-missing", lambda s: s.path("manifest.yml").unlink(), "file.missing", "manifest.yml"),
    Case("manifest-directory", to_directory("manifest.yml"), "file.not-a-file", "manifest.yml"),
    Case("manifest-pipe", to_pipe("manifest.yml"), "file.not-a-file", "manifest.yml"),
    Case("manifest-empty", as_manifest(""), "manifest.empty", "manifest.yml"),
    Case("manifest-comment", as_manifest("# later\n---\n"), "manifest.empty", "manifest.yml"),
    Case("manifest-list", as_manifest("- a\n- b\n"), "manifest.form", "manifest.yml:1:1"),
    Case("manifest-text", as_manifest("scans.tsv\n"), "manifest.form", "manifest.yml:1:1"),
    Case("manifest-zip", as_manifest(b"PK\x03\x04\xff\xfe\x00"), "file.encoding", "manifest.yml:1"),
    Case("manifest-latin-1", lambda s: s.write("manifest.yml", s.path("manifest.yml").read_text().encode("latin-1")),
         "file.encoding", "manifest.yml:8", "not UTF-8"),
    Case("manifest-utf-16", lambda s: s.write("manifest.yml", s.path("manifest.yml").read_text().encode("utf-16")),
         "file.encoding", "manifest.yml:1", "UTF-16"),
    Case("manifest-utf-16-no-mark", as_manifest("a: b\n".encode("utf-16-le")), "file.encoding", "manifest.yml:1", "NUL"),
    Case("manifest-too-large", as_manifest("#" * (16 * 2**20 + 1)), "file.too-large", "manifest.yml", "16 MiB"),
    Case("yaml-syntax", manifest("  License: CC0", "  License: [CC0"), "yaml.syntax", "manifest.yml:6"),
    Case("yaml-tab", manifest("  License: CC0", "\tLicense: CC0"), "yaml.syntax", "manifest.yml:5:1"),
    Case("yaml-control-character", manifest("Name: Demo", "Name: Dé\x07mo"), "yaml.syntax", "manifest.yml:2:11", r"'\x07'"),
    Case("yaml-tag", manifest("Name: Demo", "Name: !!python/object/apply:os.system [ls]"), "yaml.tag", "manifest.yml:2:9", "python/object"),
    Case("yaml-own-tag", manifest("Name: Demo", "Name: !env HOME"), "yaml.tag", "manifest.yml:2:9", "!env"),
    Case("yaml-alias-unknown", manifest("Name: Demo", "Name: *nobody"), "yaml.alias", "manifest.yml:2:9", "*nobody"),
    Case("yaml-alias-bomb", alias_bomb, "yaml.alias", "manifest.yml:5:45"),
    Case("yaml-brackets", many_brackets, "yaml.depth", "manifest.yml:1"),
    Case("yaml-deep", manifest("  License: CC0", "  License: CC0\n  DatasetLinks: " + "{a: " * 60 + "b" + "}" * 60),
         "yaml.depth", "manifest.yml:6"),
    Case("yaml-two-documents", lambda s: s.write("manifest.yml", s.path("manifest.yml").read_text() + "---\na: b\n"),
         "yaml.documents", "manifest.yml:11"),
    Case("yaml-not-a-number", manifest("  License: CC0", "  License: CC0\n  Extra: .nan"), "yaml.not-finite", "manifest.yml:6:10", ".nan"),
    Case("yaml-infinite", manifest("  License: CC0", "  License: CC0\n  Extra: [-.inf]"), "yaml.not-finite", "manifest.yml:6:11", "-.inf"),
    Case("yaml-key-number", manifest("  License: CC0", "  License: CC0\n  1: one"), "yaml.key-type", "manifest.yml:6:3", "1"),
    Case("yaml-key-truth", manifest("  License: CC0", "  License: CC0\n  on: one"), "yaml.key-type", "manifest.yml:6:3", "'on'"),
    Case("yaml-key-list", manifest("  License: CC0", "  License: CC0\n  [a, b]: one"), "yaml.key-type", "manifest.yml:6:3"),
    Case("yaml-merge-text", inline("        metadata:", "        <<: brain\n        metadata:"), "yaml.merge", "manifest.yml:14:9"),
    Case("duplicate-key-top", lambda s: s.write("manifest.yml", s.path("manifest.yml").read_text() + "scans_tsv: other.tsv\n"),
         "yaml.duplicate-key", "manifest.yml:11:1", "first in line 9"),
    Case("duplicate-key-description", manifest("  License: CC0", "  License: CC0\n  Name: Other"),
         "yaml.duplicate-key", "manifest.yml:6:3", "first in line 2"),
    Case("duplicate-key-deep", manifest("  License: CC0", "  License: CC0\n  GeneratedBy: [{Name: a, Name: b}]"),
         "yaml.duplicate-key", "manifest.yml:6:27", "Name"),
    Case("duplicate-key-asset", inline("        metadata:", "        sample: other\n        metadata:"),
         "yaml.duplicate-key", "manifest.yml:14:9", "first in line 10"),
    Case("duplicate-key-metadata", inline("          PixelSizeUnits: um", "          PixelSizeUnits: um\n          PixelSizeUnits: mm"),
         "yaml.duplicate-key", "manifest.yml:17:11", "first in line 16"),
    Case("duplicate-key-short-name", inline("        metadata:", "        sub: '03'\n        metadata:"),
         "yaml.duplicate-key", "manifest.yml:14:9", "gives subject"),
    Case("duplicate-key-in-and-out", inline("        metadata:", "        PixelSizeUnits: um\n        metadata:"),
         "yaml.duplicate-key", "manifest.yml:17:11", "PixelSizeUnits"),
    Case("key-unknown", manifest("scans_tsv:", "notes: x\nscans_tsv:"), "key.unknown", "manifest.yml:9:1", "known keys: dataset_description"),
    Case("key-misspelt", manifest("participants_tsv", "participant_tsv"), "key.unknown", "manifest.yml:10:1", "did you mean 'participants_tsv'?"),
    Case("key-misspelt-table", several(lambda s: s.path("scans.tsv").rename("other.tsv"), manifest("scans_tsv: scans.tsv", "scan_tsv: other.tsv")),
         "key.unknown", "manifest.yml:9:1", "did you mean 'scans_tsv'?"),
    Case("key-capital", manifest("scans_tsv", "Scans_TSV"), "key.unknown", "manifest.yml:9:1", "did you mean 'scans_tsv'?"),
]

INLINE = [
    Case("datasets-text", without_tables("dataset_description: {Name: a, BIDSVersion: 1.10.0, DatasetType: raw, License: CC0}\ndatasets: study\n"),
         "value.type", "manifest.yml:2:11", "'study'"),
    Case("no-rows-beside-another-key", without_tables("dataset_description: {Name: a, BIDSVersion: 1.10.0, DatasetType: raw, License: CC0}\nparticipants_json: [1]\n"),
         "value.type", "manifest.yml:2:20", "participants_json", (("assets.none", "manifest.yml"),)),
    Case("dataset-without-assets", inline("    assets:\n", "    images:\n"), "key.missing", "manifest.yml:7:5", "datasets[0].assets",
         (("key.unknown", "manifest.yml:8:5"),)),
    Case("dataset-key-unknown", inline("  - dataset_id: study\n", "  - datasetid: study\n"), "key.unknown", "manifest.yml:7:5", "did you mean 'dataset_id'?"),
    Case("dataset-id-number", inline("dataset_id: study", "dataset_id: 007"), "value.type", "manifest.yml:7:17", "007"),
    Case("assets-mapping", inline('      - subject: "01"', '      a:\n      - subject: "01"'), "value.type", "manifest.yml:9:7"),
    Case("asset-text", inline('      - subject: "02"', '      - two.ims\n      - subject: "02"'), "value.type", "manifest.yml:17:9", "'two.ims'"),
    Case("subject-octal", inline('"01"', "01"), "value.type", "manifest.yml:9:18", "must be text, not 01; put quotes around it: '01'"),
    Case("subject-date", inline('"01"', "2026-03-31"), "value.label", "manifest.yml:9:18", "write '20260331'"),
    Case("session-truth", inline("        metadata:", "        session: no\n        metadata:"), "value.type", "manifest.yml:14:18", "not no"),
    Case("session-list", inline("        metadata:", "        session: [1]\n        metadata:"), "value.type", "manifest.yml:14:18", "[1]"),
    Case("run-number", inline("        metadata:", "        run: 010\n        metadata:"), "value.type", "manifest.yml:14:14", "010"),
    Case("a11-label-line-end", inline('"01"', r'"01\n"'), "value.label", "manifest.yml:9:18", r"'01\n'"),
    Case("a11-label-line-end-folded", inline('subject: "01"', "subject: |\n          01"), "value.label", "manifest.yml:9:18", r"'01\n'"),
    Case("inline-missing-key", inline("        orientation_string_xyz: RPI\n        sample_staining: [Abeta, YoPro]\n        metadata", "        sample_staining: [Abeta, YoPro]\n        metadata"),
         "column.missing", "manifest.yml:9", "orientation_string_xyz"),
    Case("inline-near-miss", inline("        orientation_string_xyz: RPI\n        sample_staining: [Abeta, YoPro]\n        metadata", "        orientation: RPI\n        sample_staining: [Abeta, YoPro]\n        metadata"),
         "column.missing", "manifest.yml:12:9", "rename 'orientation'"),
    Case("inline-null-path", inline("spim_path: raw/one.ome.zarr", "spim_path: ~"), "value.empty", "manifest.yml:11:20"),
    Case("inline-nul-path", inline("spim_path: raw/one.ome.zarr", r'spim_path: "raw/on\0e.ims"'), "source.unreadable", "manifest.yml:11:20"),
    Case("inline-path-list", inline("spim_path: raw/one.ome.zarr", "spim_path: [raw/one.ome.zarr]"), "source.merge", "manifest.yml:11:20", "no axis along which they make up one image"),
    Case("inline-staining-numbers", inline("[Abeta, YoPro]\n        metadata", "[1, 2]\n        metadata"), "value.type", "manifest.yml:13:26", "[1, 2]"),
    Case("inline-staining-null", inline("[Abeta, YoPro]\n        metadata", "[Abeta, ~]\n        metadata"), "value.type", "manifest.yml:13:26", "None"),
    Case("inline-staining-hole", inline("[Abeta, YoPro]\n        metadata", "[Abeta, '', YoPro]\n        metadata"), "value.staining", "manifest.yml:13:26"),
    Case("inline-staining-empty", inline("[Abeta, YoPro]\n        metadata", "[]\n        metadata"), "value.empty", "manifest.yml:13:26"),
    Case("inline-staining-number", inline("[Abeta, YoPro]\n        metadata", "488\n        metadata"), "value.type", "manifest.yml:13:26", "488"),
    Case("metadata-list", inline("metadata:\n          PixelSize: [1.8, 1.8, 4]\n          PixelSizeUnits: um", "metadata: [a]"), "value.type", "manifest.yml:14:19", "['a']"),
    Case("metadata-entity", inline("          PixelSizeUnits: um", "          PixelSizeUnits: um\n          session: '1'"), "column.reserved", "manifest.yml:17:11", "metadata.session"),
    Case("metadata-orientation", inline("          PixelSizeUnits: um", "          PixelSizeUnits: um\n          OrientationStringXYZ: RPI"), "column.reserved", "manifest.yml:17:11", "orientation_string_xyz"),
    Case("metadata-number-text", inline("[1.8, 1.8, 4]", "[1.8, '1.8', 4]"), "value.type", "manifest.yml:15:22", "'1.8'"),
    Case("metadata-zero", inline("[1.8, 1.8, 4]", "[1.8, 1.8, 0]"), "value.range", "manifest.yml:15:22", "greater than 0"),
    Case("metadata-string-number", inline("          PixelSizeUnits: um", "          PixelSizeUnits: um\n          Immersion: 1.52"), "value.type", "manifest.yml:17:22", "1.52"),
    Case("metadata-software-list", inline("          PixelSizeUnits: um", "          PixelSizeUnits: um\n          SoftwareVersions: [a, b]"), "value.type", "manifest.yml:17:29", "['a', 'b']"),
    Case("table-and-inline", lambda s: (s.write("manifest.yml", s.path("manifest.yml").read_text() + (
            "datasets:\n  - assets:\n      - {subject: '02', sample: brain, session: '1', spim_path: raw/two.ims, orientation_string_xyz: RPI, sample_staining: a;b}\n")),),
         "path.duplicate", "manifest.yml:13:19", "sub-02_ses-1_sample-brain_SPIM"),
]

NO_ASSETS = [
    Case("no-rows-default-table", several(manifest("scans_tsv: scans.tsv\n", ""), as_table("subject\tsample\tspim_path\torientation_string_xyz\tsample_staining\n")),
         "assets.none", "scans.tsv"),
    Case("no-rows-table", as_table("subject\tsample\tspim_path\torientation_string_xyz\tsample_staining\n\n\n"), "assets.none", "scans.tsv"),
    Case("no-table-at-all", several(manifest("scans_tsv: scans.tsv\nparticipants_tsv: participants.tsv\n", ""), lambda s: s.path("scans.tsv").unlink()),
         "assets.none", "manifest.yml", "scans_tsv"),
    Case("no-datasets", without_tables("dataset_description: {Name: a, BIDSVersion: 1.10.0, DatasetType: raw, License: CC0}\ndatasets: []\n"),
         "assets.none", "manifest.yml:2:1"),
    Case("no-assets-in-dataset", without_tables("dataset_description: {Name: a, BIDSVersion: 1.10.0, DatasetType: raw, License: CC0}\ndatasets:\n  - dataset_id: a\n    assets: []\n"),
         "assets.none", "manifest.yml:2:1"),
]

TABLES = [
    Case("table-missing", manifest("scans_tsv: scans.tsv", "scans_tsv: scan.tsv"), "file.missing", "manifest.yml:9:12", "scan.tsv"),
    Case("table-key-number", manifest("scans_tsv: scans.tsv", "scans_tsv: 1"), "value.type", "manifest.yml:9:12", "1"),
    Case("table-key-null", manifest("scans_tsv: scans.tsv", "scans_tsv:"), "value.empty", "manifest.yml:9"),
    Case("table-key-blank", manifest("scans_tsv: scans.tsv", "scans_tsv: ' '"), "value.empty", "manifest.yml:9:12"),
    Case("table-key-nul", manifest("scans_tsv: scans.tsv", r'scans_tsv: "a\0.tsv"'), "file.unreadable", "manifest.yml:9:12"),
    Case("table-outside", manifest("scans_tsv: scans.tsv", "scans_tsv: ../scans.tsv"), "table.outside", "manifest.yml:9:12", "'../scans.tsv'"),
    Case("table-absolute-outside", manifest("scans_tsv: scans.tsv", "scans_tsv: /etc/passwd"), "table.outside", "manifest.yml:9:12", "/etc/passwd"),
    Case("table-link-outside", lambda s: (s.path("scans.tsv").unlink(), s.path("scans.tsv").symlink_to("/etc/passwd")), "table.outside", "manifest.yml:9:12"),
    Case("table-directory", to_directory("scans.tsv"), "file.not-a-file", "manifest.yml:9:12", "scans.tsv"),
    Case("table-pipe", to_pipe("scans.tsv"), "file.not-a-file", "manifest.yml:9:12", "scans.tsv"),
    Case("table-pipe-by-default", several(to_pipe("scans.tsv"), manifest("scans_tsv: scans.tsv\n", "")), "file.not-a-file", "manifest.yml", "scans.tsv"),
    Case("table-empty", as_table(""), "table.empty", "scans.tsv"),
    Case("table-blank-lines", as_table("\n\n\n"), "table.empty", "scans.tsv"),
    Case("table-latin-1", lambda s: (s.cell(3, "sample_staining", "é"), s.write("scans.tsv", s.path("scans.tsv").read_text().encode("latin-1"))),
         "file.encoding", "scans.tsv:3"),
    Case("table-utf-16", lambda s: s.write("scans.tsv", s.path("scans.tsv").read_text().encode("utf-16")), "file.encoding", "scans.tsv:1", "UTF-16"),
    Case("table-comma", lambda s: s.write("scans.tsv", s.path("scans.tsv").read_text().replace("\t", ",")), "table.separator", "scans.tsv:1"),
    Case("header-duplicate", rename("session", "sample"), "table.duplicate-header", "scans.tsv:1:65", "sample: is the name of 2 columns"),
    Case("header-duplicate-names", rename("session", "sub"), "table.duplicate-header", "scans.tsv:1:65", "gives subject"),
    Case("header-duplicate-short-first", several(rename("subject", "sub"), rename("session", "subject")), "table.duplicate-header", "scans.tsv:1:61", "gives subject"),
    Case("header-blank", rename("session", ""), "table.blank-header", "scans.tsv:1:65", "column 6"),
    Case("row-long", table("\tum\t4x\n02", "\tum\t4x\textra\n02"), "table.ragged-row", "scans.tsv:2:1", "has 10 cells, the header has 9"),
    Case("row-short", table("raw/two.ims\tRPI\tAbeta;YoPro\t1", "raw/two.ims"), "table.ragged-row", "scans.tsv:3:1", "has 6 cells"),
    Case("quote-unclosed", cell(3, "sample_staining", '"Abeta;YoPro'), "table.quote", "scans.tsv:3:1", "unclosed quote"),
    Case("quote-inside", cell(3, "sample_staining", '"Abeta" YoPro'), "table.quote", "scans.tsv:3:1", "goes on behind a closing quote"),
    Case("quote-over-lines", cell(3, "sample_staining", '"Abeta\nYoPro"'), "table.quote", "scans.tsv:3:1", "over the end of a line", (("table.ragged-row", "scans.tsv:4"),)),
    Case("column-missing", drop("sample_staining"), "column.missing", "scans.tsv:1", "sample_staining"),
    Case("columns-missing", drop("sample_staining", "subject"), "column.missing", "scans.tsv:1", "", (("column.missing", "scans.tsv:1"),)),
    Case("column-near-miss", rename("sample_staining", "staining"), "column.missing", "scans.tsv:1:49", "rename 'staining'"),
    Case("column-capital", rename("subject", "Subject"), "column.missing", "scans.tsv:1:1", "rename 'Subject'"),
    Case("column-original-name", rename("spim_path", "path"), "column.missing", "scans.tsv:1:16", "rename 'path'"),
    Case("column-orientation-key", rename("orientation_string_xyz", "OrientationStringXYZ"), "column.missing", "scans.tsv:1:26", "rename 'OrientationStringXYZ'"),
    Case("column-misspelt", rename("session", "sesion"), "column.misspelt", "scans.tsv:1:65", "did you mean 'session'?"),
    Case("column-metadata", rename("session", "metadata"), "column.reserved", "scans.tsv:1:65", "metadata"),
    Case("column-reserved-orientation", column("OrientationStringXYZ", "RPI"), "column.reserved", "scans.tsv:1:112", "orientation_string_xyz"),
    Case("column-reserved-staining", column("SampleStaining", "a"), "column.reserved", "scans.tsv:1:112", "sample_staining"),
]

CELLS = [
    Case("a11-subject-hyphen", cell(3, "subject", "a-2"), "value.label", "scans.tsv:3:1", "'a-2' has other characters than letters and digits; write 'a2'"),
    Case("d2-subject-decimal", several(cell(3, "subject", "2.0"), participants("sub-02", "sub-2")), "value.label", "scans.tsv:3:1", "write '2'", ),
    Case("d2-subject-decimal-taken", cell(3, "subject", "03.0"), "value.label", "scans.tsv:3:1", "write '03' if it is the same as '03' (scans.tsv:4:1), otherwise another"),
    Case("d2-subject-exponent", cell(3, "subject", "1E+03"), "value.label", "scans.tsv:3:1", "letters and digits only; a spreadsheet keeps labels in columns formatted as text"),
    Case("d2-session-day", cell(3, "session", "2024-01-05 00:00:00"), "value.label", "scans.tsv:3:38", "write '20240105'"),
    Case("d2-session-month", cell(3, "session", "5-Jan"), "value.label", "scans.tsv:3:38", "letters and digits only; a spreadsheet"),
    Case("d2-run-decimal", several(columns(run="1"), cell(4, "run", "2.0")), "value.index", "scans.tsv:4", "write '2'"),
    Case("d2-participant-decimal", several(cell(3, "subject", "2"), participants("sub-02", "2.0")), "value.form", "participants.tsv:3:1", "write 'sub-2'", (("participants.unknown", "scans.tsv:3:1"),)),
    Case("d7-participant-zeros", participants("sub-02", "2"), "participants.unknown", "scans.tsv:3:1", "'2' (participants.tsv line 3) differs in leading zeros"),
    Case("subject-prefix", cell(3, "subject", "ses-02"), "value.label", "scans.tsv:3:1", "write '02'"),
    Case("a11-subject-empty", cell(3, "subject", ""), "value.empty", "scans.tsv:3:1", "give the subject"),
    Case("subject-not-known", cell(3, "subject", "n/a"), "value.empty", "scans.tsv:3:1", "n/a"),
    Case("subject-blank", cell(3, "subject", "  "), "value.empty", "scans.tsv:3:1"),
    Case("subject-trailing-blank", cell(3, "subject", "02 "), "value.label", "scans.tsv:3:1", "'02 '"),
    Case("a11-sample-underscore", cell(3, "sample", "left_half"), "value.label", "scans.tsv:3:4", "write 'lefthalf'"),
    Case("a11-sample-space", cell(3, "sample", "left half"), "value.label", "scans.tsv:3:4", "'left half'"),
    Case("a11-sample-accent", cell(3, "sample", "cérébro"), "value.label", "scans.tsv:3:4", "write 'cerebro'"),
    Case("a11-sample-digits-of-other-scripts", cell(3, "sample", "٣"), "value.label", "scans.tsv:3:4", "letters and digits only"),
    Case("sample-empty", cell(3, "sample", ""), "value.empty", "scans.tsv:3:4"),
    Case("a11-sample-escape", cell(3, "sample", "../x"), "value.label", "scans.tsv:3:4", "'../x'"),
    Case("a11-session-dot", cell(3, "session", "1.5"), "value.label", "scans.tsv:3:38", "'1.5'"),
    Case("a11-acquisition-slash", column("acq", "4x/0.28"), "value.label", "scans.tsv:2", "'4x/0.28'",
         (("value.label", "scans.tsv:3"), ("value.label", "scans.tsv:4"))),
    Case("a11-stain-plus", several(columns(stain="a"), cell(4, "stain", "a+b")), "value.label", "scans.tsv:4", "'a+b'"),
    Case("a11-run-letters", several(columns(run="1"), cell(4, "run", "1a")), "value.index", "scans.tsv:4", "'1a' has other characters than digits; write digits only"),
    Case("run-prefix", several(columns(run="1"), cell(4, "run", "chunk-02")), "value.index", "scans.tsv:4", "write '02'"),
    Case("a11-run-negative", several(columns(run="1"), cell(4, "run", "-1")), "value.index", "scans.tsv:4", "'-1'"),
    Case("a11-chunk-decimal", several(columns(chunk="1"), cell(4, "chunk", "1.0")), "value.index", "scans.tsv:4", "'1.0'"),
    Case("orientation-letter", cell(3, "orientation_string_xyz", "RPX"), "value.orientation", "scans.tsv:3:22", "'RPX'"),
    Case("orientation-pair", cell(3, "orientation_string_xyz", "RLS"), "value.orientation", "scans.tsv:3:22", "'RLS'"),
    Case("orientation-short", cell(3, "orientation_string_xyz", "RP"), "value.orientation", "scans.tsv:3:22", "'RP'"),
    Case("orientation-long", cell(3, "orientation_string_xyz", "RPIS"), "value.orientation", "scans.tsv:3:22", "'RPIS'"),
    Case("orientation-empty", cell(3, "orientation_string_xyz", ""), "value.empty", "scans.tsv:3:22"),
    Case("staining-hole", cell(3, "sample_staining", "Abeta;;YoPro"), "value.staining", "scans.tsv:3:26", "'Abeta;;YoPro'"),
    Case("staining-hole-at-end", cell(3, "sample_staining", "Abeta;"), "value.staining", "scans.tsv:3:26", "'Abeta;'"),
    Case("staining-commas", cell(3, "sample_staining", "Abeta, ,YoPro"), "value.staining", "scans.tsv:3:26"),
    Case("d1-staining-mixed", cell(3, "sample_staining", "Abeta,YoPro;Iba1"), "value.separator", "scans.tsv:3:26", "'Abeta,YoPro;Iba1' has commas and semicolons"),
    Case("d1-pixel-size-mixed", cell(3, "PixelSize", "3,5;8"), "value.separator", "scans.tsv:3:40", "'3,5;8' has commas and semicolons; write a point, not a comma"),
    Case("d1-pixel-size-mixed-3d", cell(3, "PixelSize", "1,8;1,8;4"), "value.separator", "scans.tsv:3:40", "write a point, not a comma"),
    Case("d1-pixel-size-mixed-brackets", cell(3, "PixelSize", "[1,8; 1,8; 4]"), "value.separator", "scans.tsv:3:40"),
    Case("d1-pixel-size-may-be-one", cell(3, "PixelSize", "3,5"), "value.separator", "scans.tsv:3:40", "'3,5' may be one number or two; write '3.5' or '3;5'"),
    Case("d1-pixel-size-default", several(drop("PixelSize"), defaults('PixelSize: "3,5;3,5;8"')), "value.separator", "manifest.yml:10:14"),
    Case("d1-pixel-size-inline", inline("PixelSize: [1.8, 1.8, 4]", 'PixelSize: "1,8;1,8;4"'), "value.separator", "manifest.yml:15:22"),
    Case("d1-stains-inline", inline("[Abeta, YoPro]\n        metadata", "a,b;c\n        metadata"), "value.separator", "manifest.yml:13:26"),
    Case("d1-axis-mixed", several(columns(ChunkTransformationMatrixAxis="X;Y;Z"), cell(3, "ChunkTransformationMatrixAxis", "X,Y;Z")), "value.separator", "scans.tsv:3"),
    Case("d1-override-mixed", columns(override_header="PixelSize,Magnification;NumericalAperture"), "value.separator", "scans.tsv:2", "", (("value.separator", "scans.tsv:3"), ("value.separator", "scans.tsv:4"))),
    Case("staining-empty", cell(3, "sample_staining", ""), "value.empty", "scans.tsv:3:26"),
    Case("staining-separators", cell(3, "sample_staining", ";"), "value.empty", "scans.tsv:3:26"),
    Case("magnification-unit", cell(3, "Magnification", "4y"), "value.type", "scans.tsv:3:53", "'4y'"),
    Case("magnification-zero", cell(3, "Magnification", "0"), "value.range", "scans.tsv:3:53", "greater than 0"),
    Case("magnification-infinite", cell(3, "Magnification", "1e999"), "value.range", "scans.tsv:3:53", "'1e999'"),
    Case("magnification-inf", cell(3, "Magnification", "inf"), "value.type", "scans.tsv:3:53", "'inf'"),
    Case("d5-subject", cell(3, "subject", "NaN"), "value.empty", "scans.tsv:3:1", "needs a value"),
    Case("d5-sample", cell(3, "sample", "None"), "value.empty", "scans.tsv:3:4", "needs a value"),
    Case("d5-orientation", cell(3, "orientation_string_xyz", "#N/A"), "value.empty", "scans.tsv:3:22", "needs a value"),
    Case("d5-path", cell(3, "spim_path", "NA"), "value.empty", "scans.tsv:3:10", "needs a value"),
    Case("d5-participant", participants("sub-03\t10", "<NA>\t10"), "value.empty", "participants.tsv:4:1", "", (("participants.unknown", "scans.tsv:4:1"),)),
    Case("d5-inline-subject", inline('subject: "02"', "subject: nan"), "value.empty", "manifest.yml:17:18", "needs a value"),
    Case("a07-pixel-size-letter", cell(3, "PixelSize", "2,x,4"), "value.type", "scans.tsv:3:40", "'x'"),
    Case("pixel-size-zero", cell(3, "PixelSize", "0;1;1"), "value.range", "scans.tsv:3:40", "greater than 0, not 0"),
    Case("pixel-size-negative", cell(3, "PixelSize", "-1;1;1"), "value.range", "scans.tsv:3:40", "-1"),
    Case("pixel-size-one", cell(3, "PixelSize", "2"), "value.range", "scans.tsv:3:40", "2 items or more, not 1"),
    Case("pixel-size-four", cell(3, "PixelSize", "1;2;3;4"), "value.range", "scans.tsv:3:40", "3 items or fewer, not 4"),
    Case("pixel-size-hole", cell(3, "PixelSize", "1;;3"), "value.type", "scans.tsv:3:40", "''"),
    Case("aperture-decimal-comma", several(columns(NumericalAperture="0.5"), cell(3, "NumericalAperture", "0,5")), "value.type", "scans.tsv:3:56", "'0,5'; write a point"),
    Case("units-inch", cell(3, "PixelSizeUnits", "inch"), "value.choice", "scans.tsv:3:50", "'inch'"),
    Case("units-missing", drop("PixelSizeUnits"), "sidecar.incomplete", "scans.tsv:1", "PixelSizeUnits"),
    Case("units-empty", cell(3, "PixelSizeUnits", ""), "sidecar.incomplete", "scans.tsv:3:50", "PixelSizeUnits"),
    Case("environment", several(columns(SampleEnvironment="ex vivo"), cell(3, "SampleEnvironment", "ex-vivo")), "value.choice", "scans.tsv:3:56", "did you mean 'ex vivo'?"),
    Case("matrix-text", several(columns(ChunkTransformationMatrixAxis="X;Y", ChunkTransformationMatrix=""), cell(3, "ChunkTransformationMatrix", "[[1,0,0],[0,NaN,0],[0,0,1]]")),
         "value.type", "scans.tsv:3:60", "NaN"),
    Case("matrix-brackets", several(columns(ChunkTransformationMatrixAxis="X;Y", ChunkTransformationMatrix=""), cell(3, "ChunkTransformationMatrix", "[" * 100_000)),
         "value.type", "scans.tsv:3:60", "[[[..."),
    Case("matrix-without-axes", columns(ChunkTransformationMatrix="[[1,0,0],[0,1,0],[0,0,1]]"), "sidecar.incomplete", "scans.tsv:1", "ChunkTransformationMatrixAxis"),
    Case("antibody-hole", several(columns(SamplePrimaryAntibody="a;b"), cell(3, "SamplePrimaryAntibody", "a;;b")), "value.empty", "scans.tsv:3:56", "'a;;b'"),
    Case("a04-sample-type", several(columns(sample_type="tissue"), cell(3, "sample_type", "brain")), "value.choice", "scans.tsv:3:56", "'brain'"),
    Case("sample-type-contradiction", several(columns(sample_type="tissue"), row(session="2", sample_type="organoid")),
         "sample.contradiction", "scans.tsv:5", "is 'organoid', but 'tissue' in scans.tsv line 2"),
    Case("derived-from", several(columns(derived_from=""), cell(3, "derived_from", "brain")), "value.form", "scans.tsv:3:56", "'brain'"),
    Case("acq-time-date-only", several(columns(acq_time=""), cell(3, "acq_time", "2026-03-31")), "value.form", "scans.tsv:3:56", "write it like '2026-03-31T14:05:00'"),
    Case("acq-time-blank", several(columns(acq_time=""), cell(3, "acq_time", "2026-03-31 14:05:00")), "value.form", "scans.tsv:3:56", "'2026-03-31 14:05:00'"),
    Case("acq-time-impossible", several(columns(acq_time=""), cell(3, "acq_time", "2026-02-30T14:05:00")), "value.form", "scans.tsv:3:56", "'2026-02-30T14:05:00'"),
    Case("acq-time-us", several(columns(acq_time=""), cell(3, "acq_time", "3/31/2026")), "value.form", "scans.tsv:3:56", "'3/31/2026'"),
]

SOURCES = [
    Case("source-missing", source("raw/none.ims"), "source.missing", "scans.tsv:3:10", "raw/none.ims"),
    Case("source-empty-cell", cell(3, "spim_path", ""), "value.empty", "scans.tsv:3:10"),
    Case("source-trailing-blank", cell(3, "spim_path", "raw/two.ims "), "source.missing", "scans.tsv:3:10", "begins or ends with a blank"),
    Case("a23-source-broken-link", source("raw/link.ims", broken), "source.missing", "scans.tsv:3:10", "is a link to 'nowhere.ims'"),
    Case("a23-source-loop", source("raw/loop.ims", loop), "source.unreadable", "scans.tsv:3:10", "back to itself"),
    Case("source-pipe", source("raw/pipe.ims", os.mkfifo), "source.not-a-file", "scans.tsv:3:10", "pipe.ims"),
    Case("source-pipe-tif", source("raw/pipe.ome.tif", os.mkfifo), "source.not-a-file", "scans.tsv:3:10", "pipe.ome.tif"),
    Case("source-device", cell(3, "spim_path", "/dev/null"), "source.not-a-file", "scans.tsv:3:10", "/dev/null"),
    Case("source-link-to-device", source("raw/null.ims", lambda path: path.symlink_to("/dev/zero")), "source.not-a-file", "scans.tsv:3:10"),
    Case("source-directory", source("raw/plain", lambda path: path.mkdir()), "source.format", "scans.tsv:3:10", "directory of no known format"),
    Case("source-folder-itself", cell(3, "spim_path", "."), "source.format", "scans.tsv:3:10"),
    Case("source-format", source("raw/two.oib", lambda path: path.write_text("x")), "source.format", "scans.tsv:3:10", "known endings are .ome.zarr.zip"),
    Case("source-no-ending", source("raw/two", lambda path: path.write_text("x")), "source.format", "scans.tsv:3:10"),
    Case("source-empty", source("raw/empty.ims", lambda path: path.touch()), "source.empty", "scans.tsv:3:10", "empty.ims"),
    Case("source-zarr-file", source("raw/two.ome.zarr", lambda path: path.write_text("x")), "source.not-a-directory", "scans.tsv:3:10", "OME-Zarr is a directory"),
    Case("a03-source-ims-directory", source("raw/dir.ims", lambda path: path.mkdir()), "source.not-a-file", "scans.tsv:3:10", "Imaris is a file"),
    Case("source-zarr-bare", source("raw/bare.ome.zarr", lambda path: path.mkdir()), "source.format", "scans.tsv:3:10", "zarr.json"),
    Case("c4-scene-of-a-file", several(silent, cell(3, "scene", "1")), "source.scene", "scans.tsv:3", "has one image, which is scene 0"),
    Case("o07-pages", several(silent, option(backend="ome-zarr:convert=all")), "source.axes", "scans.tsv:3", "does not say what its pages are: 2 x 8 x 8 along page, y, x"),
    Case("o07-axes-that-do-not-fit", several(silent, cell(3, "axes", "TZYX")), "source.axes", "scans.tsv:3", "has 3 axes, 2 page x 8 y x 8 x, which 'TZYX' does not name"),
    Case("c4-scene-of-a-zip", cell(3, "scene", "0"), "source.scene", "scans.tsv:3", "of which no image can be chosen"),
    Case("c4-scene-of-a-folder-of-planes", several(planes(), cell(3, "scene", "0")), "source.scene", "scans.tsv:3", "of which no image can be chosen"),
    Case("c4-scene-that-leads-out", several(scenes, cell(3, "scene", "../other")), "source.scene", "scans.tsv:3", "names no image in"),
    Case("c4-scene-that-is-not-there", several(scenes, cell(3, "scene", "A/1/0")), "source.missing", "scans.tsv:3:10", "A/1/0"),
    Case("i16-3-policy-without-axis", columns(merge_shape="pad"), "source.merge", "scans.tsv:2", "no axis is given", (("source.merge", "scans.tsv:3"), ("source.merge", "scans.tsv:4"))),
    Case("n14-list-without-axis", cell(3, "spim_path", "raw/two.ims;raw/one.ims"), "source.merge", "scans.tsv:3:10", "names several files, and no axis"),
    Case("n14-wildcards-without-axis", cell(3, "spim_path", "raw/*.ims"), "source.merge", "scans.tsv:3:10", "write T, C or Z into merge_axis"),
    Case("o30-axis-unknown", cell(3, "merge_axis", "X"), "value.choice", "scans.tsv:3", "T, C, Z"),
    Case("i16-3-file-twice", several(cell(3, "spim_path", "raw/two.ims;raw/two.ims"), cell(3, "merge_axis", "T")), "source.merge", "scans.tsv:3:10", "is given twice"),
    Case("i16-3-empty-path", several(cell(3, "spim_path", "raw/two.ims;"), cell(3, "merge_axis", "T")), "source.merge", "scans.tsv:3:10", "'' is no path"),
    Case("i16-3-glob-of-nothing", several(cell(3, "spim_path", "raw/none_*.ims"), cell(3, "merge_axis", "T")), "source.missing", "scans.tsv:3:10", "fits no file"),
    Case("i16-3-member-missing", several(cell(3, "spim_path", "raw/two.ims;raw/none.ims"), cell(3, "merge_axis", "T")), "source.missing", "scans.tsv:3:10", "none.ims' does not exist"),
    Case("i16-3-merge-and-scene", several(cell(3, "merge_axis", "T"), cell(3, "scene", "0")), "source.scene", "scans.tsv:3", "the row merges files"),
    Case("i16-3-merge-by-symlink", cell(3, "merge_axis", "T"), "backend.format", "scans.tsv:3:10", "is a merged Imaris, which BIDS does not hold"),
    Case("planes-gap", planes(lambda folder: (folder / "Z1.tif").unlink()), "source.content", "scans.tsv:3:10", "raw/planes' lacks 1 plane: Z1.tif"),
    Case("planes-of-two-sizes", planes(wide_plane), "source.content", "scans.tsv:3:10", "Z1.tif' has 10 x 8 pixels of uint16, but 'Z0.tif' has 9 x 8"),
    Case("planes-foreign", planes(lambda folder: (folder / "preview.png").write_bytes(b"x")), "source.content", "scans.tsv:3:10", "names differ in more than numbers: 'Z0.tif', 'preview.png'"),
    Case("planes-cut-off", planes(lambda folder: os.truncate(folder / "Z2.tif", 100)), "source.content", "scans.tsv:3:10", "Z2.tif' is cut off"),
    Case("planes-empty", planes(lambda folder: os.truncate(folder / "Z2.tif", 0)), "source.content", "scans.tsv:3:10", "Z2.tif'"),
    Case("planes-without-size", several(planes(), cell(3, "PixelSize", ""), cell(3, "PixelSizeUnits", "")), "sidecar.no-pixel-size", "scans.tsv:3"),
    *(Case(f"planes-by-{name}", planes(backend=name), "backend.format", "scans.tsv:3:10", "is a folder of planes, which BIDS does not hold") for name in ("symlink", "symlink-tree", "hardlink", "copy")),
    Case("source-no-tiff", source("raw/text.ome.tif", lambda path: path.write_text("text")), "source.content", "scans.tsv:3:10", "text.ome.tif"),
    Case("source-name-too-long", cell(3, "spim_path", "raw/" + "x" * 300 + ".ims"), "source.unreadable", "scans.tsv:3:10", "File name too long"),
    Case("source-through-a-file", cell(3, "spim_path", "raw/two.ims/x.ims"), "source.missing", "scans.tsv:3:10"),
    Case("source-other-home", cell(3, "spim_path", "~nobody/two.ims"), "source.missing", "scans.tsv:3:10", "~nobody"),
    Case("source-url", cell(3, "spim_path", "s3://bucket/two.ome.zarr"), "source.missing", "scans.tsv:3:10", "a URL is not read"),
]

HEADERS = [
    Case("a10-size-nowhere", several(silent, cell(3, "PixelSize", ""), cell(3, "PixelSizeUnits", "")), "sidecar.no-pixel-size", "scans.tsv:3:43", "is neither given nor in the header"),
    Case("size-nowhere-but-unit", several(silent, cell(3, "PixelSize", "")), "sidecar.no-pixel-size", "scans.tsv:3:43", "silent.tif"),
    Case("size-partly", several(as_zarr(3, ('"unit": "micrometer"}, {"name": "y"', '"unit": "pixel"}, {"name": "y"')), drop("PixelSize")),
         "sidecar.no-pixel-size", "scans.tsv:3", "which tells x and y only"),
    Case("a10-size-unreadable", several(source("raw/cut.ims", lambda path: path.write_bytes(b"\x89HDF")), cell(3, "PixelSize", "")),
         "sidecar.no-pixel-size", "scans.tsv:3:40", "cannot be read: '"),
    Case("a09-size-contradiction", cell(3, "PixelSize", "1.8;1.8;4.01"), "sidecar.contradiction", "scans.tsv:3:40", "is [1.8, 1.8, 4.01] um, but the image says [1.8, 1.8, 4] um"),
    Case("size-contradiction-xy", cell(3, "PixelSize", "4;1.8;1.8"), "sidecar.contradiction", "scans.tsv:3:40"),
    Case("size-contradiction-unit", cell(3, "PixelSizeUnits", "mm"), "sidecar.contradiction", "scans.tsv:3:40", "1.8, 1.8, 4] mm"),
    Case("size-contradiction-flat", cell(3, "PixelSize", "1.8;1.8"), "sidecar.contradiction", "scans.tsv:3:40", "write PixelSize into a column override_header"),
    Case("lens-contradiction", several(cell(2, "Magnification", ""), with_lens, cell(3, "Magnification", "5")), "sidecar.contradiction", "scans.tsv:3:53", "is 5, but the image says 4"),
    Case("size-contradiction-default", several(drop("PixelSize"), defaults("PixelSize: [1, 1, 1]"), silent_all_but(3)), "sidecar.contradiction", "scans.tsv:3:10", "is [1, 1, 1] um"),
    Case("override-unknown", columns(override_header="PixelSizes"), "value.choice", "scans.tsv:2:61", "did you mean 'PixelSize'?", (("value.choice", "scans.tsv:3"), ("value.choice", "scans.tsv:4"))),
    Case("override-reserved", columns(OverriddenHeaderValues="1"), "column.reserved", "scans.tsv:1", "override_header"),
]

DEFAULTS = [
    Case("defaults-list", defaults_text("sidecar_defaults: [1]"), "value.type", "manifest.yml:9:19", "must be a mapping"),
    Case("default-choice", defaults("SampleEnvironment: dead"), "value.choice", "manifest.yml:10:22", "'dead'"),
    Case("default-number", defaults("NumericalAperture: high"), "value.type", "manifest.yml:10:22", "must be a number, not 'high'"),
    Case("default-type", defaults("InstitutionName: 7"), "value.type", "manifest.yml:10:20", "put quotes around it"),
    Case("default-column", defaults("subject: '01'"), "column.reserved", "manifest.yml:10:3", "each row gives it"),
    Case("default-column-short", defaults("acq: 4x"), "column.reserved", "manifest.yml:10:3", "sidecar_defaults.acq"),
    Case("default-stains", defaults("SampleStaining: [Abeta]"), "column.reserved", "manifest.yml:10:3", "column sample_staining"),
]

DERIVATIVES = [
    Case("desc-in-raw", cell(3, "desc", "stitched"), "entity.derivative", "scans.tsv:3:56", "DatasetType: derivative"),
    Case("space-in-raw", several(cell(3, "space", "ABA"), columns(SpatialReference="https://x.org/a")), "entity.derivative", "scans.tsv:3:56"),
    Case("space-alone", several(manifest("DatasetType: raw", "DatasetType: derivative"), cell(3, "space", "ABA")), "sidecar.incomplete", "scans.tsv:3:56", "SpatialReference: is missing beside space"),
    Case("desc-label", several(manifest("DatasetType: raw", "DatasetType: derivative"), cell(3, "desc", "de_skewed")), "value.label", "scans.tsv:3:56", "write 'deskewed'"),
]

PHOTOS = [
    Case("photo-missing", photo(photo_path="raw/none.jpg"), "source.missing", "photos.tsv:2:10", "raw/none.jpg"),
    Case("photo-format", photo(photo_path="raw/two.ims"), "source.format", "photos.tsv:2:10", "known endings are .jpg"),
    Case("photo-of-other-format", photo(photo_path="raw/photo.png"), "source.content", "photos.tsv:2:10", "does not begin as PNG files do"),
    Case("photo-column", photo(photo_pat="x", photo_path=None), "column.missing", "photos.tsv:1", "rename 'photo_pat'"),
    Case("photo-run", photo(run="1"), "column.reserved", "photos.tsv:2", "is no entity of a photo"),
    Case("photo-intended-for", photo(IntendedFor="sub-02_ses-1_sample-brainy_SPIM.ims"), "photo.intended-for", "photos.tsv:2", "did you mean 'sub-02_ses-1_sample-brain_SPIM'?"),
    Case("photo-of-other-subject", photo(IntendedFor="sub-01_ses-1_sample-brain_SPIM.ome.zarr"), "photo.intended-for", "photos.tsv:2", "is no image of sub-02"),
    Case("photo-twice", several(photo(), lambda study: study.write("photos.tsv", study.path("photos.tsv").read_text() + study.path("photos.tsv").read_text().splitlines()[1] + "\n")),
         "path.duplicate", "photos.tsv:3", "sub-02_sample-brain_photo"),
    Case("photo-of-stranger", photo(subject="77", IntendedFor=None), "participants.unknown", "photos.tsv:2"),
    Case("photos-table-missing", manifest("scans_tsv:", "photos_tsv: pictures.tsv\nscans_tsv:"), "file.missing", "manifest.yml:9:13", "pictures.tsv"),
]

PATHS = [
    Case("a12-path-twice", row(), "path.duplicate", "scans.tsv:5:1", "sub-01_ses-1_sample-brain_SPIM, as scans.tsv line 2 does"),
    Case("path-twice-other-source", row(spim_path="raw/two.ims"), "path.duplicate", "scans.tsv:5:1", "line 2"),
    Case("path-twice-with-another-mistake", row(spim_path="raw/none.ims"), "path.duplicate", "scans.tsv:5:1", "", (("source.missing", "scans.tsv:5:10"),)),
    Case("a12-path-case", row(sample="Brain"), "path.case", "scans.tsv:5:1", "sub-01_ses-1_sample-Brain_SPIM"),
    Case("a12-subject-case", several(cell(2, "subject", "ab"), cell(3, "subject", "aB"), cell(3, "sample", "other"),
            participants("sub-01", "ab"), participants("sub-02", "aB")),
         "path.case", "scans.tsv:3:1", "sub-aB and sub-ab (scans.tsv line 2) differ in letter case only"),
    Case("name-too-long", several(cell(3, "sample", "x" * 240)), "path.too-long", "scans.tsv:3:1", "bytes; 255 is the most"),
]

PARTICIPANTS = [
    Case("participants-missing-table", manifest("participants_tsv: participants.tsv", "participants_tsv: people.tsv"), "file.missing", "manifest.yml:10:19", "people.tsv"),
    Case("participants-number", manifest("participants_tsv: participants.tsv", "participants_tsv: 3"), "value.type", "manifest.yml:10:19", "3"),
    Case("participants-outside", manifest("participants_tsv: participants.tsv", "participants_tsv: ../participants.tsv"), "table.outside", "manifest.yml:10:19"),
    Case("participants-column", participants("participant_id", "participant"), "column.missing", "participants.tsv:1:1", "rename 'participant'"),
    Case("participants-no-column", participants("participant_id", "who"), "column.missing", "participants.tsv:1", "participant_id"),
    Case("participants-duplicate", participants("sub-02\t", "sub-01\t"), "participants.duplicate", "participants.tsv:3:1", "line 2 already",
         (("participants.unknown", "scans.tsv:3:1"),)),
    Case("participants-duplicate-prefix", participants("sub-03\t10\tn/a\twt\n", "sub-03\t10\tn/a\twt\n01\t9\tF\twt\n"), "participants.duplicate", "participants.tsv:5:1", "'01'"),
    Case("participants-unknown", participants("sub-03\t10\tn/a\twt\n", ""), "participants.unknown", "scans.tsv:4:1", "sub-03 is not in participants.tsv"),
    Case("participants-unknown-once", several(participants("sub-03\t10\tn/a\twt\n", ""), row(subject="03", session="2")), "participants.unknown", "scans.tsv:4:1"),
    Case("participants-case", several(cell(3, "subject", "2b"), participants("sub-02", "sub-2B")), "participants.unknown", "scans.tsv:3:1", "did you mean"),
    Case("d4-no-json", described('{"age": '), "participants.description", "participants.json:1", "is not valid JSON"),
    Case("d4-not-an-object", described("[]"), "participants.description", "participants.json:1:1", "is not a JSON object"),
    Case("d4-key-twice", described('{"age": {}, "age": {}}'), "participants.description", "participants.json", "'age' is given twice"),
    Case("d4-not-finite", described('{"age": {"Max": NaN}}'), "participants.description", "participants.json", "NaN"),
    Case("d4-too-deep", described("[" * 100_000), "participants.description", "participants.json"),
    Case("d4-no-such-column", described('{\n "genotyp": {"Description": "x"}}'), "participants.description", "participants.json:2:2", "did you mean 'genotype'?"),
    Case("d4-text-for-a-column", described('{"genotype": "x"}'), "participants.description", "participants.json:1:2", "must be an object, not 'x'"),
    Case("d4-age-unknown-unit", described('{"age": {"Units": "weeks"}}'), "participants.description", "participants.json:1:2", "did you mean 'week'?"),
    Case("d4-age-two-units", described('{"age": {"Description": "Age in years.", "Units": "week"}}'), "participants.description", "participants.json:1:2", "is described in years, but its Units are 'week'"),
    Case("d4-age-without-unit", described('{"age": {"Description": "Age in weeks."}}'), "participants.description", "participants.json:1:2", 'write "Units": "week"'),
    Case("d4-level", described('{"genotype": {"Levels": {"WT": "wild type"}}}'), "value.choice", "participants.tsv:2", "'wt' is not among the Levels", (("value.choice", "participants.tsv:3"), ("value.choice", "participants.tsv:4"))),
    Case("d4-no-table", several(described("{}"), lambda s: s.path("participants.tsv").unlink(), manifest("participants_tsv: participants.tsv\n", "")), "participants.description", "participants.json", "a table that is not there"),
    Case("d4-named-and-missing", lambda s: s.write("manifest.yml", s.path("manifest.yml").read_text() + "participants_json: none.json\n"), "file.missing", "manifest.yml:11", "none.json"),
    Case("d4-named-outside", lambda s: s.write("manifest.yml", s.path("manifest.yml").read_text() + "participants_json: ../x.json\n"), "table.outside", "manifest.yml:11", "x.json"),
    Case("participants-empty-id", participants("sub-03\t10", "\t10"), "value.empty", "participants.tsv:4:1", "", (("participants.unknown", "scans.tsv:4:1"),)),
    Case("participants-bad-id", participants("sub-03\t10\tn/a\twt\n", "sub-03\t10\tn/a\twt\nsub-0_4\t1\tF\twt\n"), "value.form", "participants.tsv:5:1", "'sub-0_4'"),
    Case("participants-age", participants("12.5", "P90D"), "value.form", "participants.tsv:2:8", "'P90D' is not well formed; write it like '12.5'"),
    Case("participants-age-comma", participants("12.5", "12,5"), "value.form", "participants.tsv:2:8", "'12,5'"),
    Case("participants-sex", participants("11\tM", "11\tmal"), "value.choice", "participants.tsv:3:11", "'mal' is not allowed; did you mean"),
    Case("participants-header-duplicate", participants("genotype", "sex"), "table.duplicate-header", "participants.tsv:1:24", "sex"),
    Case("participants-header-blank", participants("genotype", ""), "table.blank-header", "participants.tsv:1:24"),
    Case("participants-ragged", participants("11\tM\twt", "11\tM"), "table.ragged-row", "participants.tsv:3:1", "has 3 cells, the header has 4"),
    Case("participants-no-rows", lambda s: s.write("participants.tsv", "participant_id\n"), "participants.unknown", "scans.tsv:2", "",
         (("participants.unknown", "scans.tsv:3"), ("participants.unknown", "scans.tsv:4"))),
    Case("participants-latin-1", lambda s: s.write("participants.tsv", "participant_id\tsite\nsub-01\tGenève\n".encode("latin-1")), "file.encoding", "participants.tsv:2"),
    Case("participants-directory", to_directory("participants.tsv"), "file.not-a-file", "manifest.yml:10:19"),
]

OPTIONS = [
    Case("option-manifest", option(manifest=""), "option.missing", "command line", "--manifest"),
    Case("option-output", option(output_dir=""), "option.missing", "command line", "--output-dir"),
    Case("option-backend", option(backend="simlink"), "option.backend", "command line", "'simlink' is not a backend; did you mean 'symlink'?"),
    Case("option-setting", option(backend="ome-zarr:codecs=gzip"), "option.setting", "command line", "'codecs' is not a setting of ome-zarr; did you mean 'codec'?"),
    Case("option-chunk", option(backend="ome-zarr:chunk=64,64"), "option.setting", "command line", "'64,64' is not three sizes"),
    Case("option-shard-alone", option(backend="ome-zarr:shard=64,64,64"), "option.setting", "command line", "those of a chunk"),
    Case("option-split-and-place", option(backend="ome-zarr:place=s3://lab/b,split_above=1"), "option.setting", "command line", "leave out split_above, or place"),
    Case("option-setting-value", option(backend="ome-zarr:codec=zip"), "option.setting", "command line", "one of: gzip, blosc, lz4"),
    Case("option-backend-strange", option(backend="teleport"), "option.backend", "command line", "one of: symlink"),
    Case("output-inside-source", lambda s: s.options.update(output_dir=s.path("raw/one.ome.zarr/out")), "output.in-source", "scans.tsv:2:10", "lies inside"),
    Case("output-is-source", lambda s: s.options.update(output_dir=s.path("raw/one.ome.zarr")), "output.in-source", "scans.tsv:2:10", "is this source"),
    Case("output-is-file-source", lambda s: s.options.update(output_dir=s.path("raw/two.ims")), "output.in-source", "scans.tsv:3:10", "is this source"),
    Case("output-in-source-by-link", lambda s: (s.path("link").symlink_to("raw/one.ome.zarr"), s.options.update(output_dir=s.path("link/out"))), "output.in-source", "scans.tsv:2:10"),
    Case("output-is-a-file", lambda s: (s.write("file", "x"), s.options.update(output_dir=s.path("file"))), "output.not-a-directory", "command line", "file"),
    Case("output-below-a-file", lambda s: (s.write("file", "x"), s.options.update(output_dir=s.path("file/out"))), "output.not-a-directory", "command line", "file"),
    Case("output-broken-link", lambda s: s.out.symlink_to("nowhere"), "output.not-a-directory", "command line", "out"),
    Case("hardlink-other-disk", hardlink_across_disks, "backend.other-disk", "scans.tsv:3:10", "use --backend symlink or copy"),
    Case("strict", several(option(strict=True), manifest("1.10.0", "1.6.0")), "description.version", "manifest.yml:3:16", "warning: dataset_description.BIDSVersion: '1.6.0'"),
]

CONFLICTS = [
    Case("conflict-description", foreign("dataset_description.json", "{}\n"), "conflict.foreign", "out/dataset_description.json"),
    Case("conflict-image", foreign("sub-02/ses-1/micr/sub-02_ses-1_sample-brain_SPIM.ims"), "conflict.foreign", "out/sub-02/ses-1/micr/sub-02_ses-1_sample-brain_SPIM.ims"),
    Case("conflict-sidecar", foreign("sub-02/ses-1/micr/sub-02_ses-1_sample-brain_SPIM.json", "{}"), "conflict.foreign", "out/sub-02/ses-1/micr/sub-02_ses-1_sample-brain_SPIM.json"),
    Case("conflict-directory", foreign("sub-01/ses-1/micr/sub-01_ses-1_sample-brain_SPIM.ome.zarr/zarr.json"), "conflict.foreign", "out/sub-01/ses-1/micr/sub-01_ses-1_sample-brain_SPIM.ome.zarr"),
    Case("conflict-participants", foreign("participants.tsv", "participant_id\nsub-09\n"), "conflict.foreign", "out/participants.tsv"),
    Case("conflict-link", lambda s: (s.out.mkdir(), (s.out / "samples.tsv").symlink_to("../scans.tsv")), "conflict.foreign", "out/samples.tsv"),
    Case("conflict-folder", lambda s: (s.out.mkdir(), s.path("elsewhere").mkdir(), (s.out / "sub-02").symlink_to("../elsewhere")), "conflict.folder", "out/sub-02"),
    Case("conflict-source", source("out/sub-02/ses-1/micr/sub-02_ses-1_sample-brain_SPIM.ims", lambda path: path.write_text("x")),
         "conflict.source", "out/sub-02/ses-1/micr/sub-02_ses-1_sample-brain_SPIM.ims"),
    Case("conflict-source-overwrite", several(option(overwrite=True), source("out/sub-02/ses-1/micr/sub-02_ses-1_sample-brain_SPIM.ims", lambda path: path.write_text("x"))),
         "conflict.source", "out/sub-02/ses-1/micr/sub-02_ses-1_sample-brain_SPIM.ims"),
]

REFUSED = [
    *DESCRIPTION, *YAML, *INLINE, *NO_ASSETS, *TABLES, *CELLS, *SOURCES, *HEADERS, *DEFAULTS, *DERIVATIVES, *PHOTOS,
    *PATHS, *PARTICIPANTS, *OPTIONS,
]
CASES = [*REFUSED, *CONFLICTS]

BY_COMMAND = (
    "name-missing", "manifest-pipe", "yaml-alias-bomb", "duplicate-key-top", "columns-missing", "a11-subject-hyphen",
    "source-missing", "a12-path-twice", "option-backend", "output-inside-source", "conflict-description",
    "conflict-source-overwrite",
)
"""Cases that are also run through the real command."""
