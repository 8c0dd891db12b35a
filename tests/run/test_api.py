"""`spimpack_tasks.api`: its names, their documentation, and the examples of its page."""

import inspect
import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import pytest
from markdown_blocks import ROOT, read_blocks

from spimpack_tasks import api
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import InputError

PAGE = ROOT / "docs/how-to/use-from-python.md"
FUNCTIONS = [name for name in api.__all__ if inspect.isfunction(getattr(api, name))]


def test_s7_there_are_few_names():
    assert 15 <= len(api.__all__) <= 20
    assert api.__all__ == sorted(api.__all__)


@pytest.mark.parametrize("name", api.__all__)
def test_s7_each_name_is_documented(name):
    text = inspect.getdoc(getattr(api, name))
    assert text
    assert len(text.splitlines()[0]) > 20


@pytest.mark.parametrize("name", FUNCTIONS)
def test_s7_each_function_is_typed(name):
    signature = inspect.signature(getattr(api, name))
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty


def test_s7_importing_it_loads_no_heavy_library():
    code = "import spimpack_tasks.api, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"numpy", "pandas", "bids", "zarr", "h5py", "tifffile", "yaml", "rich"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert main(["demo", str(folder)]) == 0
    return folder


def test_s7_the_examples_of_the_page_run(demo, monkeypatch, capsys):
    monkeypatch.chdir(demo)
    names: dict[str, typing.Any] = {}
    blocks = [block for block in read_blocks(PAGE) if block.kind == "python"]
    assert len(blocks) >= 7
    for block in blocks:
        exec(compile(block.text, f"{PAGE}:{block.line}", "exec"), names)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("('t', 'c', 'z', 'y', 'x')")
    assert said[said.index("True") + 1] == "False"
    assert "OK 4" in said
    assert said[-2] == "[]"
    assert said[-1].startswith("InputError ['file.missing'")
    with api.open_volume(demo / "doubled.ome.zarr") as volume:
        level = volume.levels[0]
        found = level.read(tuple(slice(0, n) for n in level.shape))
    assert np.array_equal(np.unique(found), [2, 4])
    assert volume.spec.spacing_um_zyx == (4.0, 1.8, 1.8)


def test_s7_a_dataset_that_was_not_packaged_is_not_verified(tmp_path):
    with pytest.raises(api.SpimpackError, match="holds no record of a run"):
        list(api.verify(tmp_path))


def test_s7_what_is_in_the_way_is_told(demo, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/dataset_description.json").write_text("{}")
    options = api.Options(str(demo / "manifest.yml"), str(tmp_path / "out"))
    with pytest.raises(InputError) as refused:
        api.plan(options)
    assert [problem.code for problem in refused.value.report.errors]
    assert Path(tmp_path / "out/dataset_description.json").read_text() == "{}"
