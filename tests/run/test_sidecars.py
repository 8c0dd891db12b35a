"""What a sidecar holds: the row's values first, then the manifest's, then those of the header.

Numbers in test ids, such as a09, are those of the acceptance list of the BIDS reference.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_images import write_silent_image
from workspace import SHARED, Workspace

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, Severity
from spimpack_tasks.manifest.headers import facts_of
from spimpack_tasks.packaging.prepare import prepare_run
from spimpack_tasks.state.session import SESSION
from spimpack_tasks.validation.bids_validator import run_bids_validator
from spimpack_tasks.volumes.header import Header

WITHOUT_SIZE = {"PixelSize": "", "PixelSizeUnits": ""}
LENS = {"LensPower": "4x", "NumericalAperture": "0.28"}


def study_of(root: Path, source: str = "a.ims", **cells: str) -> Workspace:
    workspace = Workspace(root)
    workspace.add_row(source, subject="01", **cells)
    return workspace


def set_imaris(path: Path, **attributes: str) -> None:
    with h5py.File(path, "r+") as file:
        for name, text in attributes.items():
            characters = np.array([c.encode() for c in text], "S1")
            file["DataSetInfo/Image"].attrs[name] = characters


def sidecar_of(workspace: Workspace) -> dict:
    assert workspace.run().exit_code == ExitCode.OK
    (path,) = workspace.out.rglob("*_SPIM.json")
    return json.loads(path.read_text())


def write_with_defaults(workspace: Workspace, defaults: dict) -> None:
    """Replace `Workspace.write`, which knows of no defaults."""
    plain = workspace.write

    def write() -> None:
        plain()
        data = json.loads(workspace.manifest.read_text()) | {"sidecar_defaults": defaults}
        workspace.manifest.write_text(json.dumps(data))

    workspace.write = write  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("cells", "defaults", "wanted"),
    [
        pytest.param(WITHOUT_SIZE, {}, {"PixelSize": [1.8, 1.8, 4.0]}, id="a09-from-the-header"),
        pytest.param(
            {"PixelSize": "n/a", "PixelSizeUnits": "n/a"},
            {},
            {"PixelSize": [1.8, 1.8, 4.0], "PixelSizeUnits": "um"},
            id="not-available-says-nothing",
        ),
        pytest.param(
            {"PixelSize": "", "PixelSizeUnits": "mm"},
            {},
            {"PixelSize": [0.0018, 0.0018, 0.004], "PixelSizeUnits": "mm"},
            id="from-the-header-in-the-unit-given",
        ),
        pytest.param(
            WITHOUT_SIZE,
            {"PixelSizeUnits": "nm"},
            {"PixelSize": [1800, 1800, 4000], "PixelSizeUnits": "nm"},
            id="from-the-header-in-the-unit-of-the-defaults",
        ),
        pytest.param(
            {"PixelSize": "0.0018;0.0018;0.004", "PixelSizeUnits": "mm"},
            {},
            {"PixelSize": [0.0018, 0.0018, 0.004], "PixelSizeUnits": "mm"},
            id="a08-same-size-in-mm",
        ),
        pytest.param(
            {"PixelSize": "1.8;1.8;4.0039"}, {}, {"PixelSize": [1.8, 1.8, 4.0039]}, id="rounded"
        ),
        pytest.param(
            WITHOUT_SIZE,
            {"PixelSize": [1.8, 1.8, 4], "PixelSizeUnits": "µm"},
            {"PixelSize": [1.8, 1.8, 4], "PixelSizeUnits": "um"},
            id="from-the-defaults",
        ),
        pytest.param(
            {"InstitutionName": "Here"},
            {"InstitutionName": "There", "BodyPart": "BRAIN"},
            {"InstitutionName": "Here", "BodyPart": "BRAIN"},
            id="a-column-wins",
        ),
        pytest.param(
            {"InstitutionName": "", "BodyPart": "n/a"},
            {"InstitutionName": "There", "BodyPart": "BRAIN"},
            {"InstitutionName": "There", "BodyPart": "n/a"},
            id="an-empty-cell-says-nothing",
        ),
        pytest.param(
            {},
            {"NumericalAperture": "0.28", "Magnification": "4x", "notes": "kept"},
            {"NumericalAperture": 0.28, "Magnification": 4, "notes": "kept"},
            id="a07-defaults-get-their-types",
        ),
        pytest.param(
            {"Manufacturer": "Mine", "SoftwareVersions": "n/a"},
            {},
            {"Manufacturer": "Mine", "SoftwareVersions": "n/a"},
            id="texts-are-not-compared",
        ),
    ],
)
def test_the_value_of_a_key(tmp_path: Path, cells: dict, defaults: dict, wanted: dict) -> None:
    workspace = study_of(tmp_path, **cells)
    write_with_defaults(workspace, defaults)
    sidecar = sidecar_of(workspace)
    assert {key: sidecar[key] for key in wanted} == wanted
    assert not {e.code for e in run_bids_validator(workspace.out).errors}


def test_the_objective_comes_from_the_header(tmp_path: Path) -> None:
    workspace = study_of(tmp_path)
    set_imaris(tmp_path / "raw" / "a.ims", **LENS)
    sidecar = sidecar_of(workspace)
    assert (sidecar["Magnification"], sidecar["NumericalAperture"]) == (4, 0.28)


@pytest.mark.parametrize(
    ("cells", "recorded"),
    [
        pytest.param(
            {"PixelSize": "2;2;5"},
            {"PixelSize": [1.8, 1.8, 4.0], "PixelSizeUnits": "um"},
            id="a09-size",
        ),
        pytest.param({"Magnification": "10x"}, {"Magnification": 4}, id="magnification"),
        pytest.param({"NumericalAperture": "0.3"}, {"NumericalAperture": 0.28}, id="aperture"),
        pytest.param({"NumericalAperture": "0.28"}, None, id="no-contradiction"),
    ],
)
def test_a_contradiction_can_be_forced_and_is_recorded(
    tmp_path: Path, cells: dict, recorded: dict | None
) -> None:
    workspace = study_of(tmp_path, **cells)
    set_imaris(tmp_path / "raw" / "a.ims", **LENS)
    workspace.write()
    codes = [problem.code for problem in prepare_run(workspace.options()).report.errors]
    assert codes == (["sidecar.contradiction"] if recorded else [])
    workspace.rows[0]["override_header"] = ";".join(cells)
    sidecar = sidecar_of(workspace)
    assert sidecar.get("OverriddenHeaderValues") == recorded
    assert "override_header" not in sidecar
    (key,) = cells
    assert sidecar[key] == (
        pytest.approx([2, 2, 5]) if key == "PixelSize" else float(cells[key].strip("x"))
    )


@pytest.mark.parametrize(
    ("creator", "kept"),
    [
        ("Imspector Pro 7.5", True),
        ("ZEN 3.1", True),
        ("Imaris 9.8", False),
        ("ImarisFileConverter 10", False),
        ("tifffile.py 2025", False),
        ("OME Bio-Formats 8", False),
        ("ImageJ 1.54f", False),
    ],
)
def test_software_that_converts_is_not_that_of_the_microscope(creator: str, *, kept: bool) -> None:
    header = Header(
        ("z", "y", "x"), ((2, 2, 2),), "uint8", instrument={"SoftwareVersions": creator}
    )
    assert ("SoftwareVersions" in facts_of(header).instrument) == kept


@pytest.mark.parametrize(
    ("axes", "count", "spacing", "wanted"),
    [
        (("z", "y", "x"), 2, (2.0, 3.0, 4.0), (2.0, 3.0, 4.0)),
        (("z", "y", "x"), 2, (2.0, 3.0, None), (2.0, 3.0, None)),
        (("z", "y", "x"), 1, (2.0, 3.0, None), (2.0, 3.0)),
        (("c", "y", "x"), 2, (2.0, 3.0, None), (2.0, 3.0)),
        (("page", "y", "x"), 2, (2.0, 3.0, None), ()),
        (("page", "y", "x"), 1, (2.0, 3.0, None), (2.0, 3.0)),
    ],
)
def test_the_size_of_a_pixel_has_as_many_numbers_as_the_image_has_directions(
    axes: tuple[str, ...], count: int, spacing: tuple, wanted: tuple
) -> None:
    header = Header(axes, ((count, 8, 8),), "uint8", spacing_um_xyz=spacing)
    assert facts_of(header).pixel_size_um == wanted


def origins_shown(workspace: Workspace, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    paths = ["--manifest", str(workspace.manifest), "--output-dir", str(workspace.out)]
    assert main(["plan", *paths, *more]) == ExitCode.OK
    return capsys.readouterr().out


def test_automatic_values_are_shown_and_kept_with_their_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = study_of(tmp_path, **WITHOUT_SIZE, Manufacturer="Mine")
    write_with_defaults(workspace, {"BodyPart": "BRAIN"})
    workspace.run()
    assert "BRAIN" not in origins_shown(workspace, capsys)
    lines = origins_shown(workspace, capsys, "--verbose").splitlines()
    assert lines[0].startswith("unchanged sub-01/micr/sub-01_sample-brain_SPIM.ims <- ")
    assert [line.strip() for line in lines[1:-1] if line.startswith(" ")] == [
        'BodyPart: "BRAIN", from the manifest\'s sidecar_defaults',
        "PixelSize: [1.8, 1.8, 4], from the image's header",
        'PixelSizeUnits: "um", from the image\'s header',
        'SoftwareVersions: "spimpack demo 1.0", from the image\'s header',
    ]
    told = json.loads(origins_shown(workspace, capsys, "--format", "json").splitlines()[0])
    assert told["automatic"]["PixelSize"] == {"value": [1.8, 1.8, 4.0], "origin": "header"}
    (plan,) = (workspace.out / ".spimpack" / "plan").iterdir()
    kept = "".join(path.read_text() for path in plan.iterdir())
    assert '"PixelSize": "header"' in kept
    assert '"BodyPart": "sidecar_defaults"' in kept


def test_a_value_that_moves_into_the_table_rewrites_nothing(tmp_path: Path) -> None:
    workspace = study_of(tmp_path, **WITHOUT_SIZE)
    workspace.run()
    before = workspace.stamps()
    workspace.rows[0] |= {"PixelSize": "1.8;1.8;4.0", "PixelSizeUnits": "um"}
    workspace.run()
    assert workspace.stamps() == before


def test_a_missing_library_is_told_once_and_stops_only_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = study_of(tmp_path)
    workspace.add_row("b.ims", subject="02")
    workspace.add_row("c.ims", subject="03")
    workspace.write()
    monkeypatch.setitem(sys.modules, "h5py", None)
    problems = prepare_run(workspace.options()).report.problems
    assert [(p.code, p.severity) for p in problems] == [("source.header", Severity.WARNING)]
    assert "pip install 'spimpack_tasks[images]'" in problems[0].message
    for row in workspace.rows[1:]:
        row.update(WITHOUT_SIZE)
    workspace.write()
    SESSION.reset()
    problems = prepare_run(workspace.options()).report.errors
    assert [(p.code, p.place.line) for p in problems] == [
        ("sidecar.no-pixel-size", 3),
        ("sidecar.no-pixel-size", 4),
    ]


def test_a_derivative_needs_no_pixel_size(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    write_silent_image(tmp_path / "raw" / "a.tif")
    workspace.rows.append({"spim_path": "raw/a.tif", "subject": "01", **SHARED, **WITHOUT_SIZE})
    workspace.write()
    assert [e.code for e in prepare_run(workspace.options()).report.errors] == [
        "sidecar.no-pixel-size"
    ]
    workspace.description["DatasetType"] = "derivative"
    assert "PixelSize" not in sidecar_of(workspace)


def test_a29_a_derivative_dataset_without_a_word_from_the_validator(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.description |= {
        "DatasetType": "derivative",
        "SourceDatasets": [{"URL": "https://example.org/raw"}],
        "HEDVersion": "8.3.0",
    }
    workspace.add_row(
        "a.ome.zarr", subject="01", desc="stitched", space="ABA", chunk="1", stain="both", run="2"
    )
    workspace.rows[0] |= {"SpatialReference": "https://example.org/a.nii.gz"}
    workspace.participants = [{"participant_id": "01", "genotype": "wt"}]
    write_with_defaults(workspace, {"Description": "Stitched from its tiles."})
    assert workspace.run(strict=True).exit_code == ExitCode.OK
    assert [path.name for path in workspace.out.rglob("*.ome.zarr")] == [
        "sub-01_sample-brain_stain-both_run-2_space-ABA_chunk-1_desc-stitched_SPIM.ome.zarr"
    ]
    description = json.loads((workspace.out / "dataset_description.json").read_text())
    assert [tool["Name"] for tool in description["GeneratedBy"]] == ["spimpack_tasks"]
    assert run_bids_validator(workspace.out).findings == ()


def test_a21_stains_and_orientation_as_they_are_read_by_spimquant(tmp_path: Path) -> None:
    workspace = study_of(tmp_path, sample_staining="YoPro;Abeta", orientation_string_xyz="lps")
    sidecar = sidecar_of(workspace)
    assert sidecar["SampleStaining"] == ["YoPro", "Abeta"]
    assert sidecar["OrientationStringXYZ"] == "LPS"
    workspace.add_row("b.ims", subject="02", sample_staining="YoPro;Abeta;Iba1")
    workspace.write()
    warnings = [(p.code, p.place.line) for p in prepare_run(workspace.options()).report.warnings]
    assert sorted(warnings) == [("sidecar.channels", 3)]


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        pytest.param({"PixelSize": "2;2;5"}, "sidecar.contradiction", id="error"),
        pytest.param({"sample_staining": "Abeta"}, "sidecar.channels", id="warning"),
    ],
)
def test_rows_that_say_the_same_are_each_told_what_is_wrong(
    tmp_path: Path, cells: dict[str, str], code: str
) -> None:
    workspace = Workspace(tmp_path)
    for subject in "123":
        workspace.add_row(f"{subject}.ims", subject=subject, **cells)
    workspace.write()
    problems = prepare_run(workspace.options()).report.problems
    assert [problem.place.line for problem in problems if problem.code == code] == [2, 3, 4]


def test_rows_that_say_the_same_share_a_sidecar(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for subject, note in zip("123", ["same", "same", "other"], strict=True):
        workspace.add_row(f"{subject}.ims", subject=subject, Note=note)
    workspace.write()
    prepared = prepare_run(workspace.options())
    assert prepared.dataset is not None
    one, two, three = (asset.sidecar for asset in prepared.dataset.assets)
    assert one is two
    assert (one["Note"], three["Note"]) == ("same", "other")
