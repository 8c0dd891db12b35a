"""The provenance travels: a sidecar tells how an image was stitched, and a crate of what."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from urllib.parse import unquote, urljoin

import pytest
from stitched_study import DESCRIPTION, TILES, write_study, write_two_tiles

from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.pipelines import package
from spimpack_tasks.study.page_file import has_page
from spimpack_tasks.study.provenance import compose_provenance
from spimpack_tasks.study.reading import read_study
from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.ome_zarr.header_extras import find_stitching
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance

HEAD = ["spim_path", "subject", "sample", "orientation_string_xyz", "sample_staining"]
KEY = "StitchingParameters"


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a file of two tiles."""
    write_two_tiles(tmp_path)
    return tmp_path


def stitch(folder, *choices):
    shared = [str(folder / "tiles.json"), str(folder / "whole.ome.zarr")]
    assert main(["stitch", "volume", *shared, "--align", "stage", *choices]) == 0


def write_rows(folder, names, **columns):
    head = [*HEAD, *columns]
    rows = [
        [name, f"{number:02}", "brain", "RPI", "NeuN", *columns.values()]
        for number, name in enumerate(names, start=1)
    ]
    (folder / "scans.tsv").write_text("\n".join("\t".join(row) for row in [head, *rows]) + "\n")
    manifest = {"dataset_description": DESCRIPTION, "scans_tsv": "scans.tsv"}
    (folder / "manifest.yml").write_text(json.dumps(manifest))  # JSON is YAML


def packaged(folder):
    manifest, output = str(folder / "manifest.yml"), str(folder / "out")
    outcome = package(Options(manifest=manifest, output_dir=output), 1)
    assert outcome.exit_code == 0, outcome
    return {
        path.name.split("_")[0]: (json.loads(path.read_text()), path.stat().st_mtime_ns)
        for path in (folder / "out").rglob("*_SPIM.json")
    }


def test_i22_2_the_sidecar_of_a_stitched_volume_tells_its_parameters(folder):
    stitch(folder)
    images = [str(folder / name) for name in ("whole.ome.zarr", "other.ome.zarr")]
    assert main(["rechunk", *images, "--codec", "gzip"]) == 0
    write_rows(folder, ["whole.ome.zarr", "other.ome.zarr"])
    found = packaged(folder)
    for sidecar, _ in found.values():
        told = json.loads(sidecar[KEY])
        assert (told["align"], told["tiles"], told["destripe"]) == ("stage", 2, "none")
    # Changed parameters rewrite the sidecar of that image alone.
    stitch(folder, "--fuse", "linear")
    again = packaged(folder)
    assert json.loads(again["sub-01"][0][KEY])["fuse"] == "linear"
    assert again["sub-02"] == found["sub-02"]
    assert packaged(folder) == again


def test_i22_2_a_column_wins_over_what_the_volume_tells(folder):
    stitch(folder)
    write_rows(folder, ["whole.ome.zarr"], **{KEY: "by hand"})
    assert packaged(folder)["sub-01"][0][KEY] == "by hand"


def test_i22_2_info_tells_how_a_volume_was_stitched(folder, capsys):
    stitch(folder)
    capsys.readouterr()
    assert main(["info", str(folder / "whole.ome.zarr")]) == 0
    shown = capsys.readouterr().out
    assert '  stitched    {"align": "stage"' in shown
    assert "microscope" not in shown
    told = find_stitching(read_provenance(str(folder / "whole.ome.zarr")))
    assert told[KEY] in shown


STITCHED = {"stitched_from": "2 tiles"}
GOOD = STITCHED | {"parameters": '{"tiles": 2}'}


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (GOOD, {KEY: '{"tiles": 2}'}),
        ({"earlier": json.dumps({"earlier": json.dumps(GOOD)})}, {KEY: '{"tiles": 2}'}),
        (STITCHED, {}),
        ({"parameters": '{"tiles": 2}'}, {}),
        (STITCHED | {"parameters": "deconvolution: {}"}, {}),
        (STITCHED | {"parameters": "[1]"}, {}),
        (STITCHED | {"parameters": {"tiles": 2}}, {}),
        (STITCHED | {"parameters": "[" * 100_000}, {}),
        ({"earlier": "no JSON"}, {}),
        ("no mapping", {}),
        (None, {}),
    ],
    ids=[
        *("stitched", "converted twice", "no parameters", "not stitched", "deconvolved", "a list"),
        *("no text", "deep", "no JSON", "no mapping", "nothing"),
    ],
)
def test_i22_2_only_parameters_of_a_stitched_volume_count(told, wanted):
    assert find_stitching(told) == wanted


# The crate of a study

PUBLICATION = {
    "publisher": "Example Press",
    "contributors": [
        {"name": "Example, Ada", "orcid": "0000-0002-1825-0097", "affiliation": {"name": "Home"}},
        {"name": "Other, Ben", "roles": ["funding"]},
    ],
}
CRATE = "ro-crate-metadata.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a study that was run."""
    study = write_study(tmp_path_factory.mktemp("study"))
    assert main(["run", str(study)]) == ExitCode.OK
    return study


class Crate:
    """A crate, read as anybody reads it."""

    def __init__(self, text, folder):
        self.entities = {each["@id"]: each for each in json.loads(text)["@graph"]}
        self.folder = folder

    def all(self, entity, key):
        """Return the entities that one refers to."""
        found = entity.get(key, [])
        return [
            self.entities[each["@id"]] for each in (found if isinstance(found, list) else [found])
        ]

    def path(self, entity):
        """Return the path of a file, by the rules of URLs alone."""
        return unquote(urljoin(f"file://{self.folder}/", entity["@id"]).removeprefix("file://"))

    def maker(self, entity):
        """Return the action that made something."""
        made = [e for e in self.entities.values() if e["@type"] == "CreateAction"]
        (found,) = [e for e in made if entity in self.all(e, "result")]
        return found


def read_crate(study):
    folder = study.parent / "products"
    return Crate((folder / CRATE).read_text(), folder)


@pytest.mark.slow
def test_i22_2_an_image_leads_to_its_tiles_parameters_and_versions(made):
    crate, mine = read_crate(made), made.parent
    images = sorted((mine / "bids").rglob("*_SPIM.ome.*"))
    entities = {crate.path(e).rstrip("/"): e for e in crate.entities.values() if e["@id"][0] != "#"}
    (product,) = crate.all(entities[str(images[0])], "isBasedOn")
    assert crate.path(product) == f"{mine}/products/stitched/one/whole.ome.zarr/"
    stitched = crate.maker(product)
    objects = crate.all(stitched, "object")
    files = {crate.path(e): e for e in objects if e["@type"] == "File"}
    assert set(files) == {str(mine / name) for name in (*TILES, "tiles.json")}
    tile = files[str(mine / TILES[0])]
    assert tile["contentSize"] == str(os.path.getsize(mine / TILES[0]))
    assert tile["dateModified"].endswith("+00:00")
    told = {e["name"]: e["value"] for e in objects if e["@type"] == "PropertyValue"}
    wanted = {"align": "stage", "tiles": 2, "destripe": "none", "channel_name": "NeuN"}
    assert {key: told[key] for key in wanted} == wanted
    program, *libraries = crate.all(stitched, "instrument")
    assert (program["name"], program["softwareVersion"]) == ("spimpack_tasks", __version__)
    versions = {each["name"]: each["softwareVersion"] for each in libraries}
    assert versions["numpy"] == version("numpy")
    assert versions["numba"] == version("numba")
    # A file of another place is the source of the second image.
    (other,) = crate.all(entities[str(images[1])], "isBasedOn")
    assert other["@id"] == f"file://{mine.parent}/elsewhere/other.ome.tif"
    validated = crate.entities["#action-validate/bids"]
    assert "bids-validator" in " ".join(e["name"] for e in crate.all(validated, "instrument"))


def run_apart(study):
    """Run a study in a process of its own, as a user does."""
    command = [sys.executable, "-m", "spimpack_tasks.cli.main", "run", str(study)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.slow
def test_i22_2_changed_parameters_of_a_study_reach_its_sidecar_and_its_crate(tmp_path):
    study = write_study(tmp_path)
    micr = [study.parent / "bids" / f"sub-{number}" / "micr" for number in ("01", "02")]
    sidecars = [folder / f"{folder.parent.name}_sample-brain_SPIM.json" for folder in micr]
    run_apart(study)
    assert json.loads(json.loads(sidecars[0].read_text())[KEY])["fuse"] == "cubic"
    assert KEY not in json.loads(sidecars[1].read_text())
    times = [path.stat().st_mtime_ns for path in sidecars]
    study.write_text(
        study.read_text().replace('"align": "stage"', '"align": "stage", "fuse": "linear"')
    )
    run_apart(study)
    assert json.loads(json.loads(sidecars[0].read_text())[KEY])["fuse"] == "linear"
    changed = [path.stat().st_mtime_ns != time for path, time in zip(sidecars, times, strict=True)]
    assert changed == [True, False]
    assert read_crate(study).entities["#parameter-stitch/one/whole/fuse"]["value"] == "linear"


@pytest.mark.slow
def test_i22_2_a_crate_tells_no_path_of_this_machine_but_of_files_elsewhere(made):
    text = (made.parent / "products" / CRATE).read_text()
    assert str(made.parent) not in text
    assert text.count(str(made.parent.parent)) == text.count("file://") > 0


@pytest.mark.slow
def test_i22_2_a_crate_is_written_once_and_again_when_it_is_lost(made):
    path = made.parent / "products" / CRATE
    before, written = path.read_bytes(), path.stat().st_mtime_ns
    assert main(["run", str(made)]) == ExitCode.OK
    assert path.stat().st_mtime_ns == written
    path.unlink()
    assert not has_page(read_study(str(made)))
    assert main(["run", str(made)]) == ExitCode.OK
    assert path.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "{}", "portal"])
def test_i22_2_a_crate_of_somebody_else_is_not_overwritten(made, capsys, text):
    path = made.parent / "products" / CRATE
    before = path.read_bytes()
    if text == "portal":
        text = before.decode().replace('"creator"', '"author"').replace('"version"', '"edition"')
    path.write_text(text)
    try:
        assert main(["run", str(made)]) == ExitCode.CONFLICT
        assert path.read_text() == text
        assert "is no provenance of a study; give another work_dir" in capsys.readouterr().err
    finally:
        path.write_bytes(before)


def compose(folder, stages, **keys):
    path = folder / "study.yml"
    path.write_text(json.dumps({"stages": stages, **keys}))
    study = read_study(str(path))
    return Crate(compose_provenance(study, "0"), study.work_dir)


def test_i22_2_functions_lost_files_and_addresses_are_told_too(tmp_path):
    stages = {
        "stream": {"live": {"settings": "settings.json", "frames": "camera:frames"}},
        "convert": {"a": {"source": "gone.tif", "spacing_um_xyz": [1, 2, 3]}},
        "publish": {"lab": {"url": "s3://bucket/a", "dataset": "bids", "profile": "secret"}},
    }
    crate = compose(tmp_path, stages)
    names = {
        item: [each["name"] for each in crate.all(crate.entities[f"#action-{item}"], "object")]
        for item in ("stream/live", "convert/a", "publish/lab")
    }
    assert names == {
        "stream/live": ["settings.json", "camera:frames"],
        "convert/a": ["gone.tif", "spacing_um_xyz"],
        "publish/lab": ["bids"],
    }
    assert crate.entities["#parameter-convert/a/spacing_um_xyz"]["value"] == "[1, 2, 3]"
    (address,) = crate.all(crate.entities["#action-publish/lab"], "result")
    assert address["@id"] == "s3://bucket/a/"
    # Nothing is said to be part of the crate that is not there.
    assert crate.all(crate.entities["./"], "hasPart") == [address, crate.entities["../study.yml"]]


def test_i22_2_names_of_any_letters_have_an_identifier(tmp_path):
    (tmp_path / "a b#%ü.tif").write_bytes(b"x")
    crate = compose(tmp_path, {"convert": {"a": {"source": "a b#%ü.tif"}}}, work_dir=".")
    (source,) = crate.all(crate.entities["#action-convert/a"], "object")
    assert source["@id"] == "a%20b%23%25%C3%BC.tif"
    assert (source["@type"], source["contentSize"]) == ("File", "1")


def test_i22_2_the_publication_block_names_publisher_and_affiliation(tmp_path):
    manifest = {"dataset_description": DESCRIPTION, "publication": PUBLICATION, "datasets": []}
    stages = {"package": {"manifest": manifest, "output_dir": "bids"}}
    crate = compose(tmp_path, stages)
    root = crate.entities["./"]
    (publisher,), (author,) = crate.all(root, "publisher"), crate.all(root, "author")
    assert (publisher["@type"], publisher["name"]) == ("Organization", "Example Press")
    assert (author["@id"], author["name"]) == (
        "https://orcid.org/0000-0002-1825-0097",
        "Ada Example",
    )
    assert [each["name"] for each in crate.all(author, "affiliation")] == ["Home"]
