"""Paths are those of pybids: as shipped for the usual names, and asked for other ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from bids.layout.writing import build_path
from hypothesis import given
from hypothesis import strategies as st
from path_templates import entity_sets
from workspace import small_workspace

from spimpack_tasks.errors import ExitCode, SpimpackError
from spimpack_tasks.model.entities import ENTITIES, PATH_PATTERN, PHOTO_SUFFIX, SUFFIX, stem
from spimpack_tasks.model.plan import Asset
from spimpack_tasks.packaging import paths
from spimpack_tasks.packaging.paths import PATHS_FILE, PathBuilder
from spimpack_tasks.state.store import Store

LABEL = st.text("abcXYZ0123456789", min_size=1, max_size=12)
LABELS = st.fixed_dictionaries(
    {entity.name: LABEL for entity in ENTITIES if entity.required},
    optional={entity.name: LABEL for entity in ENTITIES if not entity.required},
)
EXTENSIONS = st.sampled_from([".ome.zarr", ".ome.tif", ".ims", ".nii.gz", ".png"])


def make_asset(entities: dict[str, str], suffix: str, extension: str) -> Asset:
    return Asset(
        key=stem(entities, suffix),
        dataset_id="",
        source="",
        stamp="0 0",
        extension=extension,
        valid_in_bids=True,
        sidecar={},
        suffix=suffix,
    )


@given(entities=LABELS, suffix=st.sampled_from([SUFFIX, PHOTO_SUFFIX]), extension=EXTENSIONS)
def test_paths_are_those_of_pybids(entities: dict[str, str], suffix: str, extension: str) -> None:
    builder = PathBuilder(Store("/nowhere"))
    whole = entities | {"suffix": suffix, "extension": extension}
    expected = build_path(whole, [PATH_PATTERN], strict=True)
    asset = make_asset(entities, suffix, extension)
    assert builder.build([asset]) == {asset.key: expected}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What pybids is asked."""
    asked: list[tuple[object, ...]] = []
    ask = paths._ask_pybids
    monkeypatch.setattr(paths, "_ask_pybids", lambda *what: asked.append(what) or ask(*what))
    return asked


USUAL = (
    *(".ome.zarr", ".ome.tif", ".ome.btf", ".tif", ".ims", ".nii", ".nii.gz", ".ome.zarr.zip"),
    *(".ozx", ".png", ".jpg"),
)


@pytest.mark.parametrize("extension", USUAL)
def test_every_shipped_template_is_what_pybids_builds(extension: str, asked: list[object]) -> None:
    builder = PathBuilder(Store("/nowhere"))
    for names in entity_sets():
        labels = {name: f"{name}1" for name in names}
        for suffix in (SUFFIX, PHOTO_SUFFIX):
            whole = labels | {"suffix": suffix, "extension": extension}
            expected = build_path(whole, [PATH_PATTERN], strict=True)
            asset = make_asset(labels, suffix, extension)
            assert builder.build([asset]) == {asset.key: expected}
    assert not asked


def test_pybids_is_asked_for_the_extension_of_a_plug_in(asked: list[object]) -> None:
    asset = make_asset({"subject": "1", "sample": "1"}, SUFFIX, ".new")
    path = PathBuilder(Store("/nowhere")).build([asset])
    assert path == {asset.key: "sub-1/micr/sub-1_sample-1_SPIM.new"}
    assert len(asked) == 1


def test_a_fresh_run_needs_no_pybids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bids", None)
    workspace = small_workspace(tmp_path)
    assert workspace.run().exit_code is ExitCode.OK
    assert (workspace.out / "sub-03/micr/sub-03_sample-brain_acq-4x_SPIM.ome.tif").is_symlink()


def test_templates_of_another_pattern_are_not_used(
    asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "PATH_PATTERN", PATH_PATTERN.replace("micr", "other"))
    paths._shipped_templates.cache_clear()
    labels = {"subject": "1", "sample": "1"}
    asset = make_asset(labels, SUFFIX, ".png")
    path = PathBuilder(Store("/nowhere")).build([asset])
    assert path == {asset.key: "sub-1/other/sub-1_sample-1_SPIM.png"}
    assert len(asked) == 1
    paths._shipped_templates.cache_clear()


@pytest.mark.parametrize(
    ("pattern", "asks"),
    [pytest.param(PATH_PATTERN, 0, id="same pattern"), pytest.param("other", 1, id="other one")],
)
def test_what_was_kept_is_not_asked_again(
    pattern: str, asks: int, tmp_path: Path, asked: list[object]
) -> None:
    store = Store(str(tmp_path))
    assets = [
        make_asset({"subject": subject, "sample": "brain"}, SUFFIX, ".new") for subject in "ab"
    ]
    first = PathBuilder(store)
    built = first.build(assets)
    store.create()
    kept = json.loads(first.text()) | {"pattern": pattern}
    Path(store.path(PATHS_FILE)).write_text(json.dumps(kept))
    asked.clear()
    assert PathBuilder(store).build(assets) == built
    assert len(asked) == asks


VALUES = {"subject": "01", "sample": "brain", "suffix": "SPIM", "extension": ".ims"}


@pytest.mark.parametrize("error", [OSError, RuntimeError, TypeError, ValueError])
def test_where_pybids_cannot_be_imported_another_process_is_asked(monkeypatch, error):
    """When it is imported, it reads settings that may be anything."""

    class Finder:
        @staticmethod
        def find_spec(name, *_):
            if name.startswith("bids"):
                raise error

    for name in [name for name in sys.modules if name.partition(".")[0] == "bids"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    monkeypatch.setattr(paths, "_build_path_elsewhere", lambda values: values["subject"])
    assert paths._build_path(VALUES) == "01"


def test_another_process_says_the_same(monkeypatch):
    expected = "sub-01/micr/sub-01_sample-brain_SPIM.ims"
    assert paths._build_path_elsewhere(VALUES) == paths._build_path(VALUES) == expected
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SpimpackError, match="pybids cannot be asked"):
        paths._build_path_elsewhere(VALUES)
