"""What is accepted, and how it is understood."""

import json
import os
import time
import tomllib
from itertools import permutations, product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from study import MANIFEST, SCANS
from tiny_images import write_silent_image

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import Severity
from spimpack_tasks.manifest.absent_values import ABSENT as ABSENT_WORDS
from spimpack_tasks.model.labels import probable_label
from spimpack_tasks.packaging.description import compose_description
from spimpack_tasks.packaging.prepare import prepare_run

ROOT = Path(__file__).parents[2]

QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def accepted(study):
    """Return the assets of a study without errors, by subject."""
    draft = study.draft()
    assert draft.refusal() is None, "\n".join(draft.report.lines())
    return {asset.entities["subject"]: asset for asset in draft.dataset.assets}


def warnings(study):
    return [problem.code for problem in study.draft().report.warnings]


def test_the_study_of_the_tests_is_valid(study):
    study.drop_formats()
    assets = accepted(study)
    assert warnings(study) == []
    assert list(assets) == ["01", "02", "03"]
    asset = assets["02"]
    assert asset.key == "sub-02_ses-1_sample-brain_SPIM"
    assert asset.entities == {"subject": "02", "session": "1", "sample": "brain"}
    assert asset.source == os.path.realpath("raw/two.ims")
    assert asset.sidecar == {
        "Magnification": 4,
        "OrientationStringXYZ": "RPI",
        "PixelSize": [1.8, 1.8, 4],
        "PixelSizeUnits": "um",
        "SampleStaining": ["Abeta", "YoPro"],
        "SoftwareVersions": "spimpack demo 1.0",
    }
    assert asset.origins == {"SoftwareVersions": "header"}


def with_mark(text):
    return b"\xef\xbb\xbf" + text


def with_crlf(text):
    return text.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("name", ["manifest.yml", "scans.tsv", "participants.tsv"])
@pytest.mark.parametrize(
    "change", [with_mark, with_crlf, lambda text: text.rstrip(b"\n")], ids=["BOM", "CRLF", "no end"]
)
def test_text_of_other_programs_is_read(study, name, change):
    before = accepted(study)
    study.write(name, change(study.path(name).read_bytes()))
    assert accepted(study) == before


@pytest.mark.parametrize("label", ["01", "1", "010", "0x1f", "1e5", "yes", "none", "A1b2"])
def test_labels_stay_as_they_are_written(study, label):
    study.path("participants.tsv").unlink()
    study.replace("manifest.yml", "participants_tsv: participants.tsv\n", "")
    study.cell(2, "subject", label)
    assert label in accepted(study)


def test_short_and_long_names_mean_the_same(make_study):
    long, short = make_study("long"), make_study("short")
    for study, names in (
        (long, ("subject", "session", "acquisition")),
        (short, ("sub", "ses", "acq")),
    ):
        study.rename("subject", names[0])
        study.rename("session", names[1])
        study.column(names[2], "4x")
        study.column("run", "01")
    keys = ["sub-01_ses-1_sample-brain_acq-4x_run-01_SPIM"]
    assert [asset.key for asset in accepted(long).values()][:1] == keys
    assert [asset.key for asset in accepted(short).values()][:1] == keys


def test_all_entities_stand_in_their_order(study):
    study.drop("session")
    texts = {"chunk": "3", "run": "02", "stain": "Abeta", "acq": "4x", "ses": "late"}
    for name, text in texts.items():
        study.column(name, text)
    key = accepted(study)["01"].key
    assert key == "sub-01_ses-late_sample-brain_acq-4x_stain-Abeta_run-02_chunk-3_SPIM"


@pytest.mark.parametrize("missing", ["", "n/a"])
@pytest.mark.parametrize(
    "column", ["session", "run", "Magnification", "Immersion", "acq_time", "sample_type"]
)
def test_an_optional_cell_may_say_nothing(study, column, missing):
    study.cell(2, column, missing)
    asset = accepted(study)["01"]
    assert column not in asset.entities
    assert not asset.sample
    assert not asset.scan
    assert asset.sidecar.get(column) in (None, "n/a")
    assert ("Immersion" in asset.sidecar) == (column == "Immersion" and missing == "n/a")


def test_an_optional_value_may_be_null_inline(study):
    study.inline()
    nothing = "        session:\n        Magnification: ~\n        metadata:"
    study.replace("manifest.yml", "        metadata:", nothing)
    asset = accepted(study)["01"]
    assert asset.key == "sub-01_sample-brain_SPIM"
    assert "Magnification" not in asset.sidecar


@pytest.mark.parametrize(
    "name",
    [
        "with blank/a b.ims",
        "accentué/Größe 脳.ims",
        "[a]{b}/$x*?.ims",
        "a;b,c'd.ims",
        "-rf.ims",
        "%s.ims",
    ],
)
def test_any_file_name_will_do(study, name):
    source = study.add_source(name)
    study.cell(2, "spim_path", name)
    assert accepted(study)["01"].source == os.path.realpath(source)


def test_a_path_in_quotes_may_hold_a_quote(study):
    study.add_source('raw/5" disc.ims')
    study.cell(2, "spim_path", '"raw/5"" disc.ims"')
    assert accepted(study)["01"].source.endswith('/raw/5" disc.ims')


def test_relative_paths_start_at_the_manifest(study, tmp_path, monkeypatch):
    options = study.make_options()
    monkeypatch.chdir("/")
    draft = prepare_run(options)
    assert draft.refusal() is None
    assert draft.dataset.assets[0].source == os.path.realpath(tmp_path / "study/raw/one.ome.zarr")


def test_a_tilde_is_the_home(study, monkeypatch):
    monkeypatch.setenv("HOME", str(study.path("home")))
    source = study.add_source("home/scans/two.ims")
    study.cell(3, "spim_path", "~/scans/two.ims")
    assert accepted(study)["02"].source == os.path.realpath(source)


def test_an_absolute_path_and_a_link_will_do(study):
    study.path("raw/link.ims").symlink_to("two.ims")
    study.cell(2, "spim_path", "raw/link.ims")
    study.cell(3, "spim_path", str(study.path("raw/two.ims")))
    assets = accepted(study)
    assert assets["01"].source == assets["02"].source == os.path.realpath("raw/two.ims")


def test_a_link_tells_the_format_by_its_own_name(study):
    """Content-addressed stores keep files under their digest."""
    study.write("store/d41d8cd98f", b"\x89HDF")
    study.path("raw/link.ims").symlink_to("../store/d41d8cd98f")
    study.cell(2, "spim_path", "raw/link.ims")
    asset = accepted(study)["01"]
    assert (asset.extension, os.path.basename(asset.source)) == (".ims", "d41d8cd98f")


@pytest.mark.parametrize(
    ("name", "extension", "valid"),
    [
        ("a.ims", ".ims", False),
        ("a.IMS", ".ims", False),
        ("a.ome.zarr", ".ome.zarr", True),
        ("a.OME.ZARR", ".ome.zarr", True),
        ("a.zarr", ".ome.zarr", True),
        ("a.ozx", ".ozx", False),
        ("a.ome.zarr.zip", ".ome.zarr.zip", False),
        ("a.ome.tif", ".ome.tif", True),
        ("a.ome.tiff", ".ome.tif", True),
        ("a.ome.btf", ".ome.btf", True),
        ("a.tif", ".tif", True),
        ("a.tiff", ".tif", True),
        ("a.nii.gz", ".nii.gz", False),
        ("a.nii", ".nii", False),
        ("a.b.c.ims", ".ims", False),
    ],
)
def test_the_extension_follows_the_source(study, name, extension, valid):
    if name.lower().endswith(".zarr"):
        study.write(f"raw/{name}/zarr.json", "{}")
    else:
        study.add_source(f"raw/{name}")
    study.cell(2, "spim_path", f"raw/{name}")
    asset = accepted(study)["01"]
    assert (asset.extension, asset.valid_in_bids) == (extension, valid)


@pytest.mark.parametrize("magic", [b"II\x2b\x00", b"MM\x00\x2b"], ids=["little", "big"])
@pytest.mark.parametrize("name", ["a.ome.tif", "a.ome.tiff", "a.ome.btf"])
def test_bigtiff_is_told_by_its_magic(study, name, magic):
    study.write(f"raw/{name}", magic + b"\x08\x00")
    study.cell(2, "spim_path", f"raw/{name}")
    assert accepted(study)["01"].extension == ".ome.btf"


@pytest.mark.parametrize("name", [".zattrs", ".zgroup", "zarr.json"])
def test_both_zarr_formats_are_known(study, name):
    study.write(f"raw/a.ome.zarr/{name}", "{}")
    study.cell(2, "spim_path", "raw/a.ome.zarr/")
    assert accepted(study)["01"].extension == ".ome.zarr"


VALUES = [
    ("PixelSize", "2,2,4", [2, 2, 4]),
    ("PixelSize", "2;2;4", [2, 2, 4]),
    ("PixelSize", "[2, 2, 4]", [2, 2, 4]),
    ("PixelSize", " 0.65 ; 0.65 ", [0.65, 0.65]),
    ("PixelSize", "1e-1;1e-1;4.", [0.1, 0.1, 4]),
    ("PixelSizeUnits", "µm", "um"),  # micro sign
    ("PixelSizeUnits", "μm", "um"),  # Greek mu
    ("PixelSizeUnits", "Micrometer", "um"),
    ("PixelSizeUnits", "microns", "um"),
    ("PixelSizeUnits", "nm", "nm"),
    ("Magnification", "4x", 4),
    ("Magnification", "3.6X", 3.6),
    ("Magnification", "4 x", 4),
    ("Magnification", "4.0", 4),
    ("NumericalAperture", ".28", 0.28),
    ("SliceThickness", "4", 4),
    ("SampleEnvironment", "ex vivo", "ex vivo"),
    ("SoftwareVersions", "1.10", "1.10"),
    ("DeviceSerialNumber", "007", "007"),
    ("SamplePrimaryAntibody", "anti-a; anti-b", ["anti-a", "anti-b"]),
    ("SamplePrimaryAntibody", "anti-a", "anti-a"),
    ("Manufacturer", "Mütter & <Söhne>", "Mütter & <Söhne>"),
    ("MyOwnColumn", "01", "01"),
    ("notes", "=1+1", "=1+1"),
]


@pytest.mark.parametrize(("key", "text", "value"), VALUES)
def test_a_cell_gets_the_type_that_bids_wants(study, key, text, value):
    write_silent_image(study.path("raw/silent.tif"))  # there is nothing to contradict
    study.cell(2, "spim_path", "raw/silent.tif")
    study.cell(2, key, text)
    list_columns(study, "[notes]")
    found = accepted(study)["01"].sidecar[key]
    assert found == value
    assert type(found) is type(value)


def test_a_chunk_may_have_a_matrix(study):
    study.cell(2, "ChunkTransformationMatrix", "[[1, 0, 0], [0, 1, 0], [0, 0, 1]]")
    study.cell(2, "ChunkTransformationMatrixAxis", "X;Y")
    sidecar = accepted(study)["01"].sidecar
    assert sidecar["ChunkTransformationMatrix"] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert sidecar["ChunkTransformationMatrixAxis"] == ["X", "Y"]


def test_every_orientation_is_known_in_any_case(study):
    codes = ["".join(c) for axes in permutations(("LR", "AP", "SI")) for c in product(*axes)]
    assert len(codes) == 48
    study.columns, study.rows = study.columns[:5], []
    for number, code in enumerate(codes):
        written = (code, code.lower(), code.title())[number % 3]
        study.rows.append([f"{number:02}", "brain", "raw/two.ims", written, "a"])
    study.write_scans()
    study.replace("manifest.yml", "participants_tsv: participants.tsv\n", "")
    study.path("participants.tsv").unlink()
    found = [asset.sidecar["OrientationStringXYZ"] for asset in accepted(study).values()]
    assert found == codes


@pytest.mark.parametrize("text", ["Abeta;YoPro", "Abeta; YoPro", "Abeta,YoPro", '"Abeta;YoPro"'])
def test_stains_keep_their_order(study, text):
    study.cell(2, "sample_staining", text)
    assert accepted(study)["01"].sidecar["SampleStaining"] == ["Abeta", "YoPro"]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1.8,1.8,4", [1.8, 1.8, 4]),
        ("[1.8, 1.8, 4]", [1.8, 1.8, 4]),
        ("1.8, 1.8", [1.8, 1.8]),
        ("[3,5]", [3, 5]),
        ("3, 5", [3, 5]),
        ("1,8,4", [1, 8, 4]),
    ],
    ids=lambda given: f"d1-{given}",
)
def test_commas_alone_separate_numbers(study, text, size):
    study.cell(4, "PixelSize", text)
    study.cell(4, "override_header", "PixelSize")
    assert accepted(study)["03"].sidecar["PixelSize"] == size


def test_d1_a_comma_in_a_name_of_a_list_of_names_is_kept(study):
    study.column("SamplePrimaryAntibody", "anti-GFP, clone 5;anti-Iba1")
    found = accepted(study)["01"].sidecar["SamplePrimaryAntibody"]
    assert found == ["anti-GFP, clone 5", "anti-Iba1"]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("1.0", "1"),
        ("01.00", "01"),
        ("1,0", "1"),
        ("1.000", ""),
        ("1,000", ""),
        ("1.5", ""),
        ("1E+03", ""),
        ("-1", ""),
        ("2024-01-05", "20240105"),
        ("2024-01-05 00:00:00", "20240105"),
        ("05.01.2024", ""),
        ("1/2/2024", ""),
        ("12:30", ""),
        ("5-Jan", ""),
        ("Jan-05", ""),
        ("may-fly", "mayfly"),
        ("mouse 01-a", "mouse01a"),
        ("sub-01", "01"),
        ("C57BL/6J", "C57BL6J"),
        ("4x/0.28", ""),
        ("50%", "50"),
    ],
    ids=lambda text: f"d2-{text}",
)
def test_what_a_label_was_meant_to_be(text, label):
    assert probable_label("label", text) == label


@pytest.mark.parametrize("column", ["subject", "session", "sample", "run"])
def test_d7_labels_may_have_their_prefix(make_study, column):
    study, other = make_study("one"), make_study("other")
    short = {"subject": "sub", "session": "ses"}.get(column, column)
    for which, prefix in ((study, ""), (other, f"{short}-")):
        os.chdir(which.folder)
        which.column("run", "1")
        index = which.columns.index(column)
        for row in which.rows:
            row[index] = prefix + row[index]
        which.write_scans()
        assert which.draft().report.errors == []
    assert [a.key for a in other.draft().dataset.assets] == [
        a.key for a in study.draft().dataset.assets
    ]


ABSENT = ["NaN", "nan", "NaT", "N/A", "NA", "null", "NULL", "None", "#N/A", "<NA>", "#REF!", " nan"]


@pytest.mark.parametrize("word", ABSENT, ids=lambda word: f"d5-{word}")
def test_words_for_absent_values_are_not_published(study, word):
    study.drop_formats()
    for name in ("pathology", "acq_time", "Immersion", "NumericalAperture", "run", "scene"):
        study.column(name, word)
    for name in ("dataset_id", "override_header", "Remark"):
        study.column(name, word)
    study.column("session", word)
    study.replace("participants.tsv", "sub-02\t11\tM", f"sub-02\t{word}\t{word}")
    report = study.draft().report
    assert {problem.code for problem in report.problems} == {"value.absent"}
    # A warning for each column: ten of the scans, two of the participants.
    assert len(report.problems) == 12
    asset = accepted(study)["02"]
    assert asset.entities == {"subject": "02", "sample": "brain"}
    assert (asset.sample, asset.scan, asset.dataset_id) == ({}, {}, "")
    assert asset.sidecar["Immersion"] == asset.sidecar["Remark"] == "n/a"
    assert "NumericalAperture" not in asset.sidecar
    rows = study.draft().dataset.participants.rows
    assert ("sub-02", "n/a", "n/a", "wt") in rows


def test_d5_a_warning_counts_the_cells(study):
    study.column("Remark", "NaN")
    study.cell(3, "Remark", "None")
    study.cell(4, "Remark", "none")
    (warning,) = [p for p in study.draft().report.warnings if p.code == "value.absent"]
    assert str(warning.place).startswith("scans.tsv:2:")
    assert "'NaN', 'None' in 2 cells" in warning.message
    assert accepted(study)["03"].sidecar["Remark"] == "none"


def test_d5_absent_words_inline_and_in_defaults(study):
    study.inline()
    study.replace("manifest.yml", 'subject: "02"', 'subject: "02"\n        session: nan')
    study.replace("manifest.yml", "datasets:", "sidecar_defaults: {Immersion: NaN}\ndatasets:")
    report = study.draft().report
    absent = {str(p.place) for p in report.problems if p.code == "value.absent"}
    assert absent == {"manifest.yml:6:31", "manifest.yml:19:18"}
    assert accepted(study)["02"].sidecar["Immersion"] == "n/a"
    assert "session" not in accepted(study)["02"].entities


def test_tables_beside_the_manifest_are_found(study):
    study.replace("manifest.yml", "scans_tsv: scans.tsv\nparticipants_tsv: participants.tsv\n", "")
    draft = study.draft()
    assert draft.refusal() is None
    assert len(draft.dataset.assets) == 3
    assert draft.dataset.participants.columns == ("participant_id", "age", "sex", "genotype")


def test_the_table_that_the_manifest_names_is_the_one_read(study):
    study.path("scans.tsv").rename(study.path("other.tsv"))
    study.write("scans.tsv", "not\ta\ttable\n")
    study.replace("manifest.yml", "scans_tsv: scans.tsv", "scans_tsv: other.tsv")
    assert len(accepted(study)) == 3


def test_a_table_may_lie_below_the_manifest(study):
    study.path("tables").mkdir()
    study.path("scans.tsv").rename(study.path("tables/scans.tsv"))
    study.replace("manifest.yml", "scans_tsv: scans.tsv", "scans_tsv: tables/scans.tsv")
    assert len(accepted(study)) == 3


@pytest.mark.parametrize("identity", ["", "study-A"])
def test_the_older_form_of_table_is_read(study, identity):
    if identity:
        study.column("dataset_id", identity)
    study.path("scans.tsv").rename(study.path("datasets.tsv"))
    study.replace("manifest.yml", "scans_tsv: scans.tsv", "datasets_tsv: datasets.tsv")
    assert {asset.dataset_id for asset in accepted(study).values()} == {identity}


def test_a_table_under_both_keys_is_read_once(study):
    study.replace("manifest.yml", "scans_tsv:", "datasets_tsv: scans.tsv\nscans_tsv:")
    assert len(accepted(study)) == 3


def test_inline_assets_are_read(study):
    study.inline()
    assets = accepted(study)
    assert assets["01"].dataset_id == "study"
    assert assets["01"].sidecar == {
        "OrientationStringXYZ": "RPI",
        "PixelSize": [1.8, 1.8, 4],
        "PixelSizeUnits": "um",
        "SampleStaining": ["Abeta", "YoPro"],
    }


def test_inline_groups_without_name_are_numbered(study):
    study.inline()
    study.replace("manifest.yml", "- dataset_id: study\n    assets", "- assets")
    assert accepted(study)["01"].dataset_id == "dataset-1"


def test_inline_assets_may_share_defaults(study):
    study.inline()
    text = study.path("manifest.yml").read_text()
    text = text.replace('- subject: "01"', '- &first\n        subject: "01"')
    rest = '- subject: "02"\n        <<: *first\n        spim_path: raw/two.ims\n'
    study.write("manifest.yml", text[: text.index('- subject: "02"')] + rest)
    assets = accepted(study)
    assert assets["02"].source.endswith("two.ims")
    automatic = {"SoftwareVersions": "spimpack demo 1.0"}
    assert assets["02"].sidecar == assets["01"].sidecar | automatic


def test_tables_and_inline_assets_go_together(study):
    extra = (
        "datasets:\n  - dataset_id: more\n    assets:\n"
        "      - {sub: '03', ses: '2', sample: brain, "
        "spim_path: raw/two.ims, orientation_string_xyz: rpi, sample_staining: Abeta;YoPro, "
        "PixelSize: [1.8, 1.8, 4], PixelSizeUnits: µm}\n"
    )
    study.write("manifest.yml", study.path("manifest.yml").read_text() + extra)
    assets = study.draft().dataset.assets
    assert study.draft().refusal() is None
    assert [(a.key.split("_SPIM")[0], a.dataset_id) for a in assets][2:] == [
        ("sub-03_ses-1_sample-brain", ""),
        ("sub-03_ses-2_sample-brain", "more"),
    ]
    assert assets[-1].sidecar["PixelSizeUnits"] == "um"


def test_required_fields_are_honoured_and_kept_from_the_plan(study):
    line = "RequiredMicroscopyFields: [Magnification, SampleStaining]"
    study.replace("manifest.yml", "  License: CC0", f"  License: CC0\n  {line}")
    accepted(study)


def test_samples_and_scans_get_their_columns(study):
    study.cell(2, "sample_type", "organoid")
    study.cell(2, "derived_from", "sample-head")
    study.cell(2, "acq_time", "2026-03-31T14:05:00.5+02:00")
    asset = accepted(study)["01"]
    assert asset.sample == {"sample_type": "organoid", "derived_from": "sample-head"}
    assert asset.scan == {"acq_time": "2026-03-31T14:05:00.5+02:00"}
    assert not {"sample_type", "derived_from", "acq_time"} & asset.sidecar.keys()


def store_other_orientation(study):
    for line, name in enumerate(("one", "two", "three"), start=2):
        study.add_source(f"raw/{name}.zarr")
        study.cell(line, "spim_path", f"raw/{name}.zarr")
    metadata = study.path("raw/two.zarr/zarr.json").read_text()
    told = metadata.replace('"attributes": {', '"attributes": {"xyz_orientation": "LPS", ')
    study.write("raw/two.zarr/zarr.json", told)


def mix_runs(study):
    study.column("run", "1")
    study.cell(3, "run", "2")


def as_derivative(study, described="", sources="\n  SourceDatasets: [{URL: somewhere}]"):
    study.replace("manifest.yml", "DatasetType: raw", f"DatasetType: derivative{sources}")
    if described:
        study.column("Description", described)


def add_photo(study, **cells):
    """Name a photo in a table; it shows another sample than the images unless told."""
    study.write("raw/photo.jpg", b"\xff\xd8\xff")
    row = {"subject": "02", "sample": "spleen", "photo_path": "raw/photo.jpg"} | cells
    study.write("photos.tsv", "\t".join(row) + "\n" + "\t".join(row.values()) + "\n")


def list_columns(study, names):
    text = study.path("manifest.yml").read_text()
    study.write("manifest.yml", f"{text}sidecar_columns: {names}\n")


def describe(study, text):
    study.replace("manifest.yml", "  License: CC0", f"  License: CC0\n  {text}")


AUTHORS = "    - Ada Lovelace\n    - Santiago Ramón y Cajal"


def differ_in_zeros(study):
    study.replace("participants.tsv", "sub-03", "sub-2")
    study.cell(4, "subject", "2")


@pytest.mark.parametrize(
    ("stains", "message"),
    [
        ("Abeta", "names 1 of the image's 2 channels"),
        ("Abeta;YoPro;Iba1", "names 3 channels, but the image has 2"),
    ],
)
def test_stains_are_counted(study, stains, message):
    study.column("sample_staining", stains)
    found = [p.message for p in study.draft().report.problems if p.code == "sidecar.channels"]
    assert found == [message] * 3


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("Lab", "give it in a column Lab"),
        ("LAB", "give it in a column LAB"),
        ("lab", "give it in a column lab, listed under sidecar_columns"),
    ],
)
def test_a_key_that_the_manifest_asks_for_is_named(study, key, hint):
    describe(study, f"RequiredMicroscopyFields: [{key}]")
    problems = study.draft().report.problems
    found = [problem.hint for problem in problems if problem.code == "sidecar.required"]
    assert found == [f"RequiredMicroscopyFields asks for it; {hint}"]


NEAR_KEYS = {
    # name of the column, sidecar_columns of the manifest: what is said of it
    "published": ("Magnificatio", None, "it is kept as it is"),
    "published in any case": ("Magnificatio", "[]", "it is kept as it is"),
    "working": ("magnification", None, "it is not published"),
    "published by the manifest": ("magnification", "[magnification]", "it is kept as it is"),
    "left out by the manifest": ("magnification", "[]", ""),
}


@pytest.mark.parametrize("case", NEAR_KEYS)
def test_what_becomes_of_a_column_that_is_nearly_a_key(study, case):
    name, listed, fate = NEAR_KEYS[case]
    study.rename("Magnification", name)
    if listed:
        list_columns(study, listed)
    problems = study.draft().report.problems
    found = [(each.code, each.message) for each in problems if each.key == name]
    message = f"is not a sidecar key that BIDS lists; {fate}"
    assert found == ([("column.unlisted", message)] if fate else [])


WARNINGS = [
    ("path.zeros", differ_in_zeros),
    ("description.uri", lambda study: describe(study, "DatasetDOI: soon")),
    (
        "description.authors",
        lambda study: study.replace("manifest.yml", f"Authors:\n{AUTHORS}", "Authors: []"),
    ),
    (
        "description.twice",
        lambda study: study.replace("manifest.yml", "Santiago Ramón y Cajal", "Ada  lovelace"),
    ),
    ("column.working", lambda study: study.column("notes", "bad day")),
    ("column.undeclared", lambda study: list_columns(study, "[note]")),
    ("value.absent", lambda study: study.cell(3, "Immersion", "NaN")),
    ("column.unlisted", lambda study: study.rename("Magnification", "magnification")),
    ("source.header", lambda study: study.write("raw/two.ims", b"\x89HDF")),
    (
        "sidecar.channels",
        lambda study: study.cell(3, "sample_staining", "Abeta;YoPro;Abeta"),
    ),
    ("sidecar.channel-order", lambda study: study.cell(3, "sample_staining", "yopro;Abeta")),
    ("source.twice", lambda study: study.cell(3, "spim_path", "raw/one.ims")),
    ("sidecar.orientation", store_other_orientation),
    ("sidecar.no-description", as_derivative),
    ("description.no-source", lambda study: as_derivative(study, "stitched", sources="")),
    ("photo.no-image", add_photo),
    (
        "key.unlisted",
        lambda study: study.replace("manifest.yml", "  License:", "  Laboratory: x\n  License:"),
    ),
    ("description.version", lambda study: study.replace("manifest.yml", "1.10.0", "1.10.7")),
    ("option.relative", lambda study: study.options.update(backend="copy", relative_symlinks=True)),
    ("option.source-links", lambda study: study.options.update(keep_source_links=True)),
]


@pytest.mark.parametrize(("code", "change"), WARNINGS, ids=[code for code, _ in WARNINGS])
def test_a_warning_stops_a_strict_run_only(study, code, change):
    study.drop_formats()
    change(study)
    draft = study.draft()
    assert [(p.code, p.severity) for p in draft.report.problems] == [(code, Severity.WARNING)]
    assert draft.refusal() is None
    study.options["strict"] = True
    assert [p.code for p in study.draft().refusal().report.problems] == [code]


NOTES = [
    ("dataset.mixed-formats", lambda study: study.cell(2, "spim_path", "raw/one.ome.zarr")),
    ("dataset.mixed-runs", mix_runs),
    ("dataset.mixed-entities", lambda study: study.cell(3, "session", "")),
    ("dataset.mixed-stains", lambda study: study.cell(4, "sample_staining", "Abeta;Iba1")),
]


@pytest.mark.parametrize(("code", "change"), NOTES, ids=[code for code, _ in NOTES])
def test_a_program_that_reads_datasets_is_spoken_of_on_demand(study, code, change):
    study.drop_formats()
    change(study)
    study.options["strict"] = True
    assert study.draft().report.problems == []
    study.options["consumers"] = ("spimquant",)
    draft = study.draft()
    assert [(p.code, p.severity) for p in draft.report.problems] == [(code, Severity.NOTE)]
    assert draft.refusal() is None


def test_strain_is_no_misspelt_stain(study):
    study.column("strain", "C57BL/6J")
    study.write(
        "manifest.yml", study.path("manifest.yml").read_text() + "sidecar_columns: [strain]"
    )
    assert accepted(study)["01"].sidecar["strain"] == "C57BL/6J"


@pytest.mark.parametrize("name", ["notes", "my_note", "2nd", "µ", "_x", "ID cage"])
def test_d6_working_columns_are_not_published_unless_listed(study, name):
    is_working = not name[0].isupper()
    study.drop_formats()
    study.column(name, "secret")
    assert (name in accepted(study)["01"].sidecar) is not is_working
    assert warnings(study) == ["column.working"] * is_working
    if is_working:
        (warning,) = study.draft().report.warnings
        assert warning.hint.startswith("to publish some, list them in the manifest: sidecar_colu")
        assert name in warning.message
    text = study.path("manifest.yml").read_text()
    study.write("manifest.yml", text + "sidecar_columns: []\n")
    assert (name in accepted(study)["01"].sidecar) is not is_working
    assert warnings(study) == []
    study.write("manifest.yml", text + f"sidecar_columns: ['{name}']\n")
    assert accepted(study)["01"].sidecar[name] == "secret"
    assert warnings(study) == []


def test_d6_the_photos_table_has_working_columns_too(study):
    study.drop_formats()
    add_photo(study, sample="brain", notes="secret", Remark="open")
    assert warnings(study) == ["column.working"]
    (photo,) = [asset for asset in study.draft().dataset.assets if asset.is_photo]
    assert photo.sidecar == {"Remark": "open"}
    list_columns(study, "[notes]")
    (photo,) = [asset for asset in study.draft().dataset.assets if asset.is_photo]
    assert photo.sidecar == {"Remark": "open", "notes": "secret"}


def test_d6_metadata_and_defaults_are_said_outright(study):
    study.inline()
    study.replace("manifest.yml", "        metadata:", "        notes: x\n        metadata:")
    study.replace("manifest.yml", "PixelSizeUnits: um", "PixelSizeUnits: um\n          remark: y")
    study.replace("manifest.yml", "datasets:", "sidecar_defaults: {lab: z}\ndatasets:")
    sidecar = accepted(study)["01"].sidecar
    assert (sidecar["remark"], sidecar["lab"], "notes" in sidecar) == ("y", "z", False)
    (warning,) = [p for p in study.draft().report.warnings if p.code == "column.working"]
    assert str(warning.place) == "manifest.yml:15:9"


def test_d6_each_included_manifest_says_what_it_publishes(study):
    study.drop_formats()
    study.column("notes", "open")
    list_columns(study, "[notes]")
    above = study.path("../all.yml")
    header = MANIFEST[: MANIFEST.index("scans_tsv")]
    above.write_text(f"{header}include: [{study.folder.name}/manifest.yml]\n")
    study.options["manifest"] = above.resolve()
    assert accepted(study)["01"].sidecar["notes"] == "open"


def test_d6_plan_says_which_columns_are_published(study, capsys):
    study.drop_formats()
    study.column("notes", "x")
    inputs = ["--manifest", "manifest.yml", "--output-dir", "out"]
    assert main(["plan", *inputs, "--verbose"]) == 0
    line = capsys.readouterr().out.splitlines()[-2]
    assert line == (
        "scans.tsv: further columns in sidecars: PixelSize, PixelSizeUnits, Magnification; "
        "not published: notes"
    )


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("DatasetDOI: doi:10.5281/zenodo.1234567", None),
        ("DatasetDOI: https://doi.org/10.5281/zenodo.1234567", None),
        ("DatasetDOI: 10.5281/zenodo.1234567", "write doi:10.5281/zenodo.1234567"),
        ("DatasetDOI: 'DOI: 10.5281/zenodo.1'", "write doi:10.5281/zenodo.1"),
        ("DatasetDOI: doi.org/10.5281/zenodo.1", "write doi:10.5281/zenodo.1"),
        ("DatasetDOI: 'doi:soon'", "write it like doi:10.5281/zenodo.1234567"),
        ("DatasetDOI: nonsense", "write it like doi:10.5281/zenodo.1234567"),
        ("SourceDatasets: [{DOI: nonsense}]", "write it like doi:10.5281/zenodo.1234567"),
        ("GeneratedBy: [{Name: a, CodeURL: 'https://example.org/a'}]", None),
        ("GeneratedBy: [{Name: a, CodeURL: example}]", "begin with https://"),
    ],
    ids=lambda given: f"d8-{given}",
)
def test_identifiers_are_uris(study, line, hint):
    study.drop_formats()
    describe(study, line)
    found = [(p.code, p.hint) for p in study.draft().report.problems]
    assert found == ([("description.uri", hint)] if hint else [])


def test_d8_each_identifier_is_looked_at(study):
    study.drop_formats()
    doi, code = "doi:10.5281/zenodo.1", "{Name: a, CodeURL: b}"
    describe(
        study, f"DatasetDOI: {doi}\n  SourceDatasets: [{{URL: a}}, {{DOI: {doi}}}, {{DOI: a}}]"
    )
    describe(study, f"GeneratedBy: [{{Name: a}}, {code}, {code}]")
    found = [problem.key for problem in study.draft().report.problems]
    assert found == [
        "dataset_description.SourceDatasets[2].DOI",
        "dataset_description.GeneratedBy[1].CodeURL",
        "dataset_description.GeneratedBy[2].CodeURL",
    ]


def test_d8_lists_other_than_authors(study):
    study.drop_formats()
    describe(study, "Keywords: [brain, light, Brain]")
    (warning,) = study.draft().report.problems
    assert (warning.code, warning.key) == (
        "description.twice",
        "dataset_description.Keywords[2]",
    )


def test_d8_our_entry_has_the_address_of_the_project(study):
    study.drop_formats()
    text = compose_description(study.draft().dataset.description, "Packaged.")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert json.loads(text)["GeneratedBy"][-1]["CodeURL"] == project["urls"]["Homepage"]


@pytest.mark.parametrize(
    ("column", "first", "second", "is_told"),
    [
        ("subject", "01", "1", True),
        ("subject", "m01", "m001", True),
        ("subject", "10", "1", False),
        ("subject", "100", "10", False),
        ("subject", "0", "00", True),
        ("run", "1", "01", True),
        ("acquisition", "4x", "04x", True),
    ],
)
def test_d3_labels_that_differ_in_zeros_are_told(study, column, first, second, is_told):
    study.drop_formats()
    study.path("participants.tsv").unlink()
    study.replace("manifest.yml", "participants_tsv: participants.tsv\n", "")
    study.column(column, first)
    study.cell(4, column, second)
    if column == "subject":
        study.cell(3, "session", "2")
    else:
        study.column("subject", "07")
        study.cell(3, "session", "2")
    told = [str(p.place) for p in study.draft().report.problems if p.code == "path.zeros"]
    assert told == (["scans.tsv:4:1"] if column == "subject" else told[:1]) * is_told
    assert bool(told) is is_told


LETTERS_AND_DIGITS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def quoted(text):
    """Return any text as a double-quoted YAML scalar."""
    return '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'


@QUICK
@given(label=TEXT)
@example(label="01\n")
@example(label="é")
@example(label="²")
@example(label="a\tb")
def test_only_letters_and_digits_make_a_label(study, label):
    study.path("scans.tsv").unlink(missing_ok=True)
    study.path("participants.tsv").unlink(missing_ok=True)
    study.inline_subject(quoted(label))
    errors = study.draft().report.errors
    if set(label) <= set(LETTERS_AND_DIGITS) and label not in ABSENT_WORDS:
        assert errors == []
    else:
        (error,) = errors
        assert error.code in {"value.label", "value.empty"}
        assert str(error.place) == "manifest.yml:9:18"


@QUICK
@given(label=st.text(LETTERS_AND_DIGITS, min_size=1, max_size=30))
def test_letters_and_digits_make_a_label(study, label):
    study.path("scans.tsv").unlink(missing_ok=True)
    study.path("participants.tsv").unlink(missing_ok=True)
    assume(label not in ABSENT_WORDS)
    study.inline_subject(quoted(label))
    draft = study.draft()
    assert draft.report.errors == []
    assert draft.dataset.assets[0].entities["subject"] == label


@QUICK
@given(run=TEXT)
@example(run="1\n")
@example(run="\u0661")
def test_only_digits_make_an_index(study, run):
    study.path("scans.tsv").unlink(missing_ok=True)
    study.path("participants.tsv").unlink(missing_ok=True)
    study.inline_subject(f'"01"\n        run: {quoted(run)}')
    codes = {problem.code for problem in study.draft().report.errors}
    good = set(run) <= set("0123456789") or run == "n/a" or run.strip() in ABSENT_WORDS
    assert codes == (set() if good else {"value.index"})


def test_ten_thousand_rows_are_checked_soon(study):
    """A generous bound, to notice work that is done once a row and need not be."""
    study.rows = [[f"{i:05}", *SCANS[1][1:]] for i in range(10_000)]
    study.write_scans()
    lines = [f"{i:05}\t10\tF\twt" for i in range(10_000)]
    study.write("participants.tsv", "\n".join(["participant_id\tage\tsex\tgenotype", *lines]))
    began = time.process_time()
    draft = study.draft()
    assert time.process_time() - began < 3
    assert draft.report.errors == []
    assert len(draft.dataset.assets) == 10_000
