"""The pages: generated ones are up to date, commands do what is said, links lead somewhere.

    REFRESH_DOCS=1 python -m pytest tests/system/test_docs.py

puts what the commands print now into the pages.
"""

import inspect
import os
import re
import runpy
import subprocess
import sys
import tomllib

import pytest
from alignment_root import make_root
from cluster import free_port
from example_inputs import place_example, place_tree
from markdown_blocks import ROOT, read_blocks, refresh_page, run_page
from workspace import Workspace

from spimpack_tasks import api
from spimpack_tasks.cli.parser import COMMANDS
from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.validation.bids_validator import run_bids_validator
from spimpack_tasks.verification.verify import LOG, Fault

DOCS = ROOT / "docs"
GENERATED = runpy.run_path(str(DOCS / "generate.py"))["pages"]()
WRITTEN = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_page_is_up_to_date(name):
    page = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert page == GENERATED[name], "run: python docs/generate.py"


def test_the_reference_shows_every_property():
    for name, properties in {
        "manifest": 5,
        "scans": 15,
        "participants": 1,
        "sidecar": 20,
        "report": 40,
    }.items():
        rows = re.findall(r"^\| `", GENERATED[f"{name}.md"], re.MULTILINE)
        assert len(rows) >= properties


def test_i15_9_the_page_on_the_python_interface_explains_each_name():
    text = GENERATED["api.md"]
    headings = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    assert set(api.__all__) <= set(headings)
    assert not re.findall(r"^.*\|  \|$", text, re.MULTILINE), "fields without a text below them"
    for name in api.__all__:
        function = inspect.unwrap(getattr(api, name))
        if inspect.isfunction(function):
            (body,) = re.findall(rf"^### {name}\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
            listed = re.findall(r"^- `([\w, ]+)`:", body, re.MULTILINE)
            explained = {one for names in listed for one in names.split(", ")}
            assert set(inspect.signature(function).parameters) <= explained, name


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(
        r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if not target.startswith("https://"):
            path = page.parent / target.partition("#")[0]
            assert path.exists(), f"{page.name} links to {target}"


def test_the_tutorial_does_what_it_says(tmp_path):
    compare(DOCS / "tutorial.md", tmp_path)


@pytest.mark.slow
def test_backends_can_be_changed_as_described(tmp_path):
    place_example(tmp_path)
    page = DOCS / "how-to" / "choose-a-backend.md"
    compare(page, tmp_path)
    text = page.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in BACKENDS)


@pytest.mark.parametrize(
    "name",
    [
        "fill-the-sidecars",
        "derivatives-and-photos",
        pytest.param("../recipes", marks=pytest.mark.slow, id="i15-9-recipes"),
        pytest.param("package-in-your-own-flow", marks=pytest.mark.slow),
    ],
)
def test_the_page_does_what_it_says(name, tmp_path):
    place_example(tmp_path)
    compare(DOCS / "how-to" / f"{name}.md", tmp_path)


@pytest.mark.slow
def test_luigid_can_be_used_as_described(tmp_path):
    """As it stands there, but on a port that nobody has."""
    place_example(tmp_path)
    port = str(free_port())
    (tmp_path / "workflows").symlink_to(ROOT / "workflows")
    (tmp_path / "configs").mkdir()
    settings = (ROOT / "configs" / "luigi.cfg").read_text(encoding="utf-8")
    (tmp_path / "configs" / "luigi.cfg").write_text(settings.replace("8082", port))
    page = DOCS / "how-to" / "run-under-luigid.md"
    compare(page, tmp_path, replaced={"8082": port})


def test_i15_9_the_recipes_name_each_command():
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    is_shown = {
        name for name in COMMANDS if f"\nspimpack {name} " in text or f"\nspimpack {name}\n" in text
    }
    assert set(COMMANDS) - is_shown == {
        *("ui", "demo", "completion", "publish", "ingest", "records", "stream"),
        *("certify", "restore", "rechunk", "stitch", "tiles", "align", "run"),
    }


@pytest.mark.slow
def test_i19_tiles_can_be_stitched_as_described(tmp_path):
    compare(DOCS / "how-to" / "stitch-tiles.md", tmp_path)


def test_i19_the_page_on_finding_tiles(tmp_path):
    page = DOCS / "how-to" / "find-tiles.md"
    compare(page, tmp_path)
    (script,) = [b.text for b in read_blocks(page) if (b.kind, b.rest) == ("python", [])]
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert (tmp_path / "tiles.xml").read_text(encoding="utf-8").count("<ViewSetup>") == 2


@pytest.mark.slow
def test_i20_a_brain_can_be_aligned_as_described(tmp_path):
    make_root(tmp_path / "data")
    compare(DOCS / "how-to" / "align-to-an-atlas.md", tmp_path)


@pytest.mark.slow
def test_a_folder_can_be_scanned_as_described(tmp_path):
    page = DOCS / "how-to" / "scan-a-folder.md"
    tree = next(block.text for block in read_blocks(page) if block.kind == "text")
    place_tree(tmp_path, re.findall(r"── (.*)", tree))
    compare(page, tmp_path)


@pytest.mark.slow
def test_a_dataset_can_be_verified_as_described(tmp_path):
    place_example(tmp_path)
    page = DOCS / "how-to" / "verify-a-dataset.md"
    compare(page, tmp_path)
    text = page.read_text(encoding="utf-8")
    assert all(f"| `{fault}` |" in text for fault in Fault)
    assert f"`.spimpack/{LOG}`" in text


def test_the_page_on_warnings_names_each_that_comes(tmp_path):
    """A dataset with all of them: as little in its inputs as can be, and files that are odd."""
    workspace = Workspace(tmp_path)
    workspace.add_row("a.ome.zarr", subject="01", chunk="1")
    del workspace.description["Authors"]
    workspace.description["BIDSVersion"] = "1.10.9"
    workspace.out.mkdir()
    (workspace.out / "README.md").write_text("Images.\n")
    workspace.run()
    found = warnings_of(workspace.out)
    (workspace.out / "CITATION.cff").write_text("cff-version: 1.2.0\ntitle: Images\nauthors: []\n")
    found |= warnings_of(workspace.out)
    text = (DOCS / "how-to" / "reach-zero-warnings.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    assert {name for cell in cells for name in re.findall("`(.+?)`", cell)} == found


def warnings_of(dataset):
    """Return the warnings of the validator, as the page names them."""
    names = {
        "SIDECAR_KEY_RECOMMENDED": "{0.sub_code}",
        "JSON_KEY_RECOMMENDED": "{0.code} {0.sub_code}",
    }
    warnings = run_bids_validator(dataset).warnings
    return {names.get(warning.code, "{0.code}").format(warning) for warning in warnings}


@pytest.mark.slow
def test_a_dataset_can_be_validated_as_described(tmp_path):
    place_example(tmp_path)
    compare(DOCS / "how-to" / "validate-a-dataset.md", tmp_path)


@pytest.mark.slow
def test_what_happened_can_be_seen_as_described(tmp_path):
    place_example(tmp_path)
    compare(DOCS / "how-to" / "see-what-happened.md", tmp_path)
    assert (tmp_path / "bids" / ".spimpack" / "report.html").is_file()


@pytest.mark.slow
def test_the_orientation_can_be_checked_as_described(tmp_path):
    place_example(tmp_path)
    compare(DOCS / "how-to" / "check-the-orientation.md", tmp_path)
    assert (tmp_path / "pages" / "AS001.html").is_file()


def test_a_machine_can_be_checked_as_described(tmp_path):
    compare(DOCS / "how-to" / "check-a-machine.md", tmp_path)


@pytest.mark.slow
def test_the_backend_of_the_page_works(tmp_path):
    place_example(tmp_path)
    page = DOCS / "how-to" / "write-a-backend.md"
    install(page, tmp_path)
    compare(page, tmp_path, {"PYTHONPATH": str(tmp_path)})
    source = tmp_path / "images" / "batch 1" / "AS001.ome.zarr" / "zarr.json"
    for dataset in ("bids", "by-luigi"):
        (made,) = (tmp_path / dataset).glob("sub-AS001/ses-pilot/micr/*.ome.zarr")
        assert (made / "zarr.json").samefile(source)


def install(page, folder):
    """Do what `pip install` does with the package of a page, without building it."""
    (toml,) = (block.text for block in read_blocks(page) if block.kind == "toml")
    project = tomllib.loads(toml)["project"]
    information = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    information.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (information / "METADATA").write_text(metadata)
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")


def compare(page, folder, environment=None, replaced=None):
    """Run a page, and compare what its commands print with what it says."""
    transcript = run_page(page, folder, environment, replaced)
    assert transcript.claimed
    if os.environ.get("REFRESH_DOCS"):
        refresh_page(page, transcript)
    else:
        assert transcript.printed == transcript.claimed
