"""Choices of a run are written into a manifest, and whatever means the same already stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from spimpack_tasks.editing.editor import open_manifest
from spimpack_tasks.editing.run_choices import keep_choices
from spimpack_tasks.packaging.options import Options

HEAD = "# mine\ndataset_description: {Name: a}\n"
# What the manifest says before, the choice, and what it says then.
CASES = {
    "nothing but the default": ("", {}, "backend: symlink\n"),
    "the same already": ("backend: symlink # here\n", {}, "backend: symlink # here\n"),
    "settings behind the name mean the same": (
        "backend: ome-zarr:codec=blosc\n",
        {"backend": "ome-zarr:codec=blosc"},
        "backend: ome-zarr:codec=blosc\n",
    ),
    "other settings": (
        "backend: ome-zarr\nsettings:\n  codec: blosc\n  ngff: '0.4'\n",
        {"backend": "ome-zarr:ngff=0.4"},
        "backend: ome-zarr\nsettings:\n  ngff: '0.4'\n",
    ),
    "settings go with their backend": (
        "backend: ome-zarr\nsettings: {codec: blosc}\n",
        {"backend": "copy"},
        "backend: copy\n",
    ),
    "switches": (
        "backend: copy\nstrict: true\nchecksum: false\n",
        {"backend": "copy", "previews": True},
        "backend: copy\nstrict: false\nchecksum: false\npreviews: true\n",
    ),
}
OFF = dict.fromkeys(
    ("relative_symlinks", "keep_source_links", "previews", "strict", "checksum"), False
)


@pytest.mark.parametrize(("before", "choice", "after"), CASES.values(), ids=CASES)
def test_i15_5_choices_are_written(
    before: str, choice: dict[str, object], after: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "manifest.yml"
    manifest.write_text(HEAD + before)
    editor = open_manifest(str(manifest), (str(tmp_path),))
    options = Options(str(manifest), "", **{"backend": "symlink", **OFF, **choice})
    assert keep_choices(editor, options) == (before != after)
    assert editor.files.text(str(manifest)) == HEAD + after
    assert not keep_choices(editor, options)
