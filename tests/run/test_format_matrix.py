"""The table of formats and abilities in the reference: what each cell says is done."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from format_contract import SAMPLES
from markdown_blocks import ROOT
from workspace import Workspace

from spimpack_tasks import api
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode, InputError
from spimpack_tasks.packaging.backends.registry import BACKENDS

PAGE = (ROOT / "docs" / "reference" / "formats.md").read_text(encoding="utf-8")


def read_matrix() -> dict[str, dict[str, str]]:
    """Return the cells of the committed page: ability, format."""
    table = PAGE.partition("## What can be done with each\n\n")[2].partition("\n\n")[0]
    header, _, *rows = (
        [cell.strip() for cell in row.split("|")[1:-1]] for row in table.split("\n")
    )
    return {ability: dict(zip(header[1:], cells, strict=True)) for ability, *cells in rows}


MATRIX = read_matrix()
PACKAGED = [ability for ability in MATRIX if ability.startswith("`--backend")]
TARGETS = {
    "`convert` to OME-Zarr": ".ome.zarr",
    "`convert` to OME-TIFF": ".ome.tif",
    "`convert` to planes": ".planes/C{c}_Z{z}.tif",
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return one image of each format."""
    folder = tmp_path_factory.mktemp("sources")
    for sample in SAMPLES.values():
        sample.write(folder / sample.name)
    return {name: folder / sample.name for name, sample in SAMPLES.items()}


def read_voxels(path: Path) -> np.ndarray:
    with api.open_volume(path) as volume:
        level = volume.levels[0]
        return level.read(tuple(slice(0, n) for n in level.shape))


def succeeds(*arguments: str | Path) -> str:
    """Tell in the words of the table whether a command succeeds."""
    return "no" if main([*map(str, arguments)]) else "yes"


def workspace_of(root: Path, sources: dict[str, Path]) -> Workspace:
    """Return a study with one image of each of some formats, by subject."""
    workspace = Workspace(root)
    for number, name in enumerate(sources):
        workspace.rows.append(
            {
                "subject": str(number),
                "spim_path": str(sources[name]),
                "sample": "brain",
                "orientation_string_xyz": "RPI",
                "sample_staining": "A" if name == "folder of planes" else "A;B",
                "PixelSize": "1;1;1",
                "PixelSizeUnits": "um",
                "override_header": "PixelSize",
            }
        )
    return workspace


def images_of(workspace: Workspace, backend: str) -> Iterator[Path]:
    """Yield the images of a dataset by subject."""
    workspace.run(backend=backend)
    for number in range(len(workspace.rows)):
        (image,) = workspace.out.glob(f"sub-{number}/micr/*_SPIM.[!j]*")
        yield image


def files_of(image: Path) -> dict[str, bytes]:
    """Return the content of all files of an image by their paths, links followed."""
    if image.is_file():
        return {"": image.read_bytes()}
    files = [Path(f, name) for f, _, names in os.walk(image, followlinks=True) for name in names]
    return {str(file.relative_to(image)): file.read_bytes() for file in files}


def kind_of(image: Path, source: Path) -> str:
    """Return what has become of an image, from its bytes and its voxels alone."""
    try:
        voxels = read_voxels(image)
    except api.SpimpackError:
        assert files_of(image) == files_of(source)
        return "not alone"
    assert np.array_equal(voxels, read_voxels(source))
    if files_of(image) != files_of(source):
        return "converted"
    return "linked" if image.is_symlink() else "yes"


def test_i15_9_the_table_has_each_format_and_backend() -> None:
    assert {name for row in MATRIX.values() for name in row} == set(SAMPLES)
    assert {f"`--backend {name}`" for name in BACKENDS} <= set(MATRIX)


@pytest.mark.parametrize("ability", PACKAGED)
def test_i15_9_a_backend_does_with_each_format_what_the_table_says(
    ability: str, tmp_path: Path, sources: dict[str, Path]
) -> None:
    backend = ability.strip("`").removeprefix("--backend ")
    cells = MATRIX[ability]
    taken = {name: sources[name] for name, cell in cells.items() if cell != "no"}
    images = images_of(workspace_of(tmp_path, taken), backend)
    kinds = {name: kind_of(image, taken[name]) for name, image in zip(taken, images, strict=True)}
    if backend.startswith("symlink"):  # a link is what it makes of an image in its own format
        kinds = {name: kind.replace("linked", "yes") for name, kind in kinds.items()}
    assert kinds == {name: cell for name, cell in cells.items() if cell != "no"}
    for name in set(cells) - set(taken):
        workspace = workspace_of(tmp_path / name, {name: sources[name]})
        workspace.root.mkdir()
        with pytest.raises(InputError):
            workspace.run(backend=backend)


@pytest.mark.parametrize("ability", TARGETS)
def test_i15_9_each_format_is_converted_and_compared_as_the_table_says(
    ability: str, tmp_path: Path, sources: dict[str, Path]
) -> None:
    found = {}
    for name, source in sources.items():
        target = tmp_path / f"{name}{TARGETS[ability]}"
        found[name] = succeeds("convert", source, target, "--verify")
        if found[name] == "yes":
            image = target.parent if "{" in target.name else target
            assert np.array_equal(read_voxels(image), read_voxels(source))
    wanted = {name: "no" if cell == "no" else "yes" for name, cell in MATRIX[ability].items()}
    assert found == wanted
    assert found == MATRIX["`verify --pixels` compares what was made"]


def test_i15_9_ome_zarr_is_made_in_the_way_of_the_table(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    """Files that are unpacked are those of the zip; own chunks come with the image's own levels."""
    ways = MATRIX["`convert` to OME-Zarr"]
    for name, source in sources.items():
        target = tmp_path / f"{name}.ome.zarr"
        assert main(["convert", str(source), str(target)]) == ExitCode.OK
        if ways[name] == "own files":
            with zipfile.ZipFile(source) as archive:
                entries = {each: archive.read(each) for each in archive.namelist()}
            assert files_of(target).items() >= entries.items()
        with api.open_volume(source) as volume, api.open_volume(target) as made:
            own, levels = ([tuple(level.shape) for level in v.levels] for v in (volume, made))
        if ways[name] == "own chunks":
            assert own == levels


def test_i15_9_each_format_is_found_as_the_table_says(
    tmp_path: Path, sources: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(next(iter(sources.values())).parent)
    main(["init", str(tmp_path / "study"), "--scan", root, "--pattern", "{subject}", "--dry-run"])
    printed = capsys.readouterr().out
    found = {
        name: "yes" if f"{source.name} -> " in printed else "no" for name, source in sources.items()
    }
    assert found == MATRIX["`init --scan` finds it"]


def test_i15_9_each_header_is_read_as_the_table_says(sources: dict[str, Path]) -> None:
    found = {}
    for name, source in sources.items():
        header = api.read_header(source)
        sizes = dict(zip(header.axes, header.shapes[0], strict=True))
        wanted = dict(zip("tczyx", SAMPLES[name].voxels.shape, strict=True))
        assert all(sizes.get(axis, 1) == size for axis, size in wanted.items())
        found[name] = "yes"
    assert found == MATRIX["the header completes the row"]


def test_i15_9_each_format_is_shown_as_the_table_says(
    tmp_path: Path, sources: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = SimpleNamespace(add_image=lambda *_, **__: None, dims=SimpleNamespace())
    napari = SimpleNamespace(Viewer=lambda **_: viewer, run=lambda: None)
    monkeypatch.setitem(sys.modules, "napari", napari)
    commands = {
        "`qc` shows it": lambda source: (
            "qc",
            source,
            "--output",
            tmp_path / f"{source.name}.html",
        ),
        "`view` in napari": lambda source: ("view", source),
        "`view --neuroglancer`": lambda source: ("view", source, "--neuroglancer"),
    }
    for ability, command in commands.items():
        found = {name: succeeds(*command(source)) for name, source in sources.items()}
        assert found == MATRIX[ability], ability


def test_i15_9_bids_allows_what_the_table_says() -> None:
    """The extensions of `SPIM` files in BIDS 1.10, Microscopy: of those that are written here."""
    allowed = {".ome.zarr", ".ome.tif", ".ome.btf", ".tif", ".png"}
    table = re.findall(
        r"^\| ([^|]+?) \| [^|]+ \| (?:file|directory) \| ([^|]+?) \|$", PAGE, re.MULTILINE
    )
    found = {
        name: "yes" if set(re.findall("`(.+?)`", cell)) & allowed else "no" for name, cell in table
    }
    assert found == MATRIX["BIDS allows it"]
