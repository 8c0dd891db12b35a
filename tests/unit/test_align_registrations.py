"""Registrations that the table of probes names, and the sidecars that tell their frames."""

import csv
import json
import shutil

import numpy as np
import pytest
from alignment_root import ASSET, CHANNELS, direction, make_root

from spimpack_tasks.alignment.chain import checked_chain

PREFIX = "ls_to_template_SyN_"


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("origin") / "data")


@pytest.fixture
def root(origin, tmp_path):
    shutil.copytree(origin.folder, tmp_path / "data")
    return tmp_path / "data"


def box(origin, frame, shift=0.0):
    """Return the domain of the image as a sidecar has it, by the formulas of the tests."""
    index = np.array([[0, 0, 0], np.subtract(origin.voxels[CHANNELS[0]].shape, 1)])
    ends = np.sort(getattr(origin, frame)(index), axis=0) + shift
    sides = {axis: ends[:, n].tolist() for n, axis in enumerate("LPS")}
    spacing = np.abs(direction(origin.code_xyz)) @ origin.spacing_mm
    return {"definition": "voxel-center", "spacing_LPS": spacing.tolist(), "bbox": sides}


def write_sidecar(folder, **domains):
    text = {"schema_version": "1.0", "frame": "LPS", "units": "mm", **domains}
    (folder / "transform_information.json").write_text(json.dumps(text))


def add_columns(root, **columns):
    path = root / "manifest.csv"
    head, *rows = csv.reader(path.read_text().splitlines())
    cells = [[value] * len(rows) if isinstance(value, str) else value for value in columns.values()]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [[*head, *columns], *([*row, *each] for row, *each in zip(rows, *cells, strict=True))]
        )


def other_registration(root, name="ccf_other"):
    folder = root / name
    shutil.copytree(root / ASSET / "image_atlas_alignment" / CHANNELS[0], folder)
    return folder


def chain_of(root):
    return checked_chain({"data_root": root, "results_root": root.parent / "out"})


def said(root):
    return [str(problem) for problem in chain_of(root).full_report.sorted()]


@pytest.mark.parametrize("frame", ["spim", "registered"])
def test_a_sidecar_tells_the_frame_of_a_registration(origin, root, frame):
    folder = other_registration(root)
    write_sidecar(folder, moving_domain=box(origin, frame, 0.05))
    add_columns(root, registration_asset="ccf_other")
    chain = chain_of(root)
    assert said(root) == []
    assert chain.brain.pairs[0].affine == str(folder / f"{PREFIX}0GenericAffine.mat")
    assert (chain.brain.version is None) == (frame == "spim")
    place = chain.brain.registered(0).place((3, 2, 1))
    assert place == pytest.approx(getattr(origin, frame)((1, 2, 3)), abs=1e-9)


def test_a_sidecar_beside_the_registration_of_the_asset_counts_as_well(origin, root):
    folder = root / ASSET / "image_atlas_alignment" / CHANNELS[0]
    write_sidecar(folder, moving_domain=box(origin, "spim"))
    assert chain_of(root).brain.version is None


def test_another_template_to_ccf_is_taken(origin, root):
    write_sidecar(other_registration(root), moving_domain=box(origin, "spim"))
    shutil.copytree(root / "spim_template_to_ccf", root / "second")
    add_columns(root, registration_asset="ccf_other", template_to_ccf_asset="second")
    assert chain_of(root).brain.pairs[1].affine == str(root / "second/syn_0GenericAffine.mat")


def without_sidecar(_, root):
    other_registration(root)


def far_box(origin, root):
    write_sidecar(other_registration(root), moving_domain=box(origin, "spim", 20.0))


def no_box(origin, root):
    write_sidecar(other_registration(root), fixed_domain=box(origin, "spim"))


def other_units(origin, root):
    folder = other_registration(root)
    write_sidecar(folder, moving_domain=box(origin, "spim"), units="um")


def broken(_, root):
    (other_registration(root) / "transform_information.json").write_text("{")


def not_a_number(origin, root):
    domain = box(origin, "spim")
    domain["bbox"]["L"][0] = float("nan")
    write_sidecar(other_registration(root), moving_domain=domain)


def other_template(origin, root):
    domain = box(origin, "spim")
    write_sidecar(other_registration(root), moving_domain=domain, fixed_domain=domain)
    far = box(origin, "spim", 3.0)
    write_sidecar(root / "spim_template_to_ccf", moving_domain=far)


def nothing(_, root):
    pass


CASES = {
    "no folder": (nothing, "registration_asset: ", "ccf_other is no folder"),
    "no sidecar": (without_sidecar, "", "which tells where its images lay"),
    "far away": (far_box, "moving_domain: ", "lies off the image: native frame by 20.00 mm"),
    "no box": (no_box, "moving_domain: ", "is missing"),
    "other units": (other_units, "", "is in LPS and um"),
    "broken": (broken, "", "is no sidecar of a registration"),
    "nan": (not_a_number, "", "has a number that is not finite"),
    "other template": (other_template, "fixed_domain: ", "lies 3.00 mm off the template of"),
}


@pytest.mark.parametrize(("harm", "key", "message"), CASES.values(), ids=CASES)
def test_i20_12_registrations_of_the_table_that_do_not_fit(origin, root, harm, key, message):
    harm(origin, root)
    add_columns(root, registration_asset="ccf_other")
    (problem,) = said(root)
    assert key in problem
    assert message in problem


COLUMNS = {
    "rows differ": ({"registration_asset": ["a", "a", "b"]}, "is 'b', but 'a' in line 2"),
    "second alone": ({"template_to_ccf_asset": "a"}, "is given without registration_asset"),
}


@pytest.mark.parametrize(("columns", "message"), COLUMNS.values(), ids=COLUMNS)
def test_i20_12_columns_of_registrations_that_contradict(root, columns, message):
    add_columns(root, **columns)
    assert any(message in problem for problem in said(root)), said(root)


@pytest.mark.parametrize("option", ["image_to_template_dir", "registrar"])
def test_a_registration_of_the_table_excludes_that_of_an_option(root, option):
    add_columns(root, registration_asset="a")
    more = {"image_to_template_dir": "x"} if option != "registrar" else {"registrar": "simpleitk"}
    more |= {"template_to_ccf_dir": "none"}
    values = {"data_root": root, "results_root": root.parent / "out"}
    problems = map(str, checked_chain(values | more).full_report.problems)
    assert any(f"is given besides the option {option}" in each for each in problems)
