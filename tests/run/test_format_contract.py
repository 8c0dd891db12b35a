"""Damaged files of every format are refused by name, in little memory, without a traceback.

`format_contract` in `tests/support` holds a sample of each format, and the ways to damage it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bombs import BOMBS
from format_contract import ALL_ACTIONS, SAMPLES, Answer, Case, compose_cases, run_child

from spimpack_tasks.volumes.formats import FORMATS

MOST_MEGABYTES, MOST_SECONDS = 500, 30

SOUND = {"lzma.tif"}
"""A bomb behind the end of a tile, which nobody reads."""
SHOWN = {"huge-planes.ome.zarr", "tiny-chunks.ome.zarr", "many-frames.dcimg"}
"""Bombs of which a few voxels can be shown, and not all can be converted."""
GROUPS = (
    ("v2-", r"v2-(zlib|gzip|zstd|zstd-untold|blosc|lz4)\."),
    ("v3-", r"v3-(zlib|gzip|zstd|zstd-untold|blosc|lz4)\."),
    ("lzma", r"(v2|v3)-(bz2|lzma)\.|lzma\."),
    ("shards", r"shards-|sparse-"),
    ("sizes", r"(huge|tiny|zero|negative|no-chunks|chunks-of).*\.ome\.zarr"),
    ("metadata", r"zattrs|zarray|zarr-json|level-json|\w+\.ozx"),
    ("imaris", r".*\.ims"),
    ("dcimg", r".*\.dcimg"),
    ("tiff", r"(deflate|zstd|jpeg|jpeg-2000|tile)\.tif"),
    ("others", r"png|large-png|jp2|jpegs|.*\.nii\.gz"),
    ("xml", r".*\.ome\.tif"),
)


@pytest.mark.few(4)
@pytest.mark.parametrize("form", [form.name for form in FORMATS])
def test_c_format_keeps_the_contract(form: str, tmp_path: Path) -> None:
    assert form in SAMPLES, "write a sample in tests/support/format_contract.py"
    answers = run_child([*compose_cases(form, tmp_path)], seconds=300)
    assert {rule: broken for rule, broken in breaches(answers).items() if broken} == {}
    sound = {answer.action: answer.outcome for answer in answers if answer.case == "sound"}
    assert sound == dict.fromkeys(ALL_ACTIONS, "fine")
    refused = {answer.case.partition("-")[0] for answer in answers if answer.outcome == "refused"}
    assert refused >= {"cut", "other", "lie", "fuzzed"}


def breaches(answers: list[Answer]) -> dict[str, list[Answer]]:
    """Return the answers that break a rule, by rule."""
    converted = [answer for answer in answers if answer.action == "convert"]
    refused = [answer for answer in answers if answer.outcome == "refused"]
    empty = [answer for answer in converted if re.fullmatch(r"cut-\d-0|no files", answer.case)]
    return {
        "an error of a library gets through": [a for a in answers if a.outcome == "raised"],
        "a refusal names no file": [a for a in refused if a.path not in a.message],
        "a cut or lying file has other voxels": [a for a in converted if a.outcome == "wrong"],
        "an empty file is converted": [a for a in empty if a.outcome != "refused"],
        "it takes too much memory": [a for a in answers if a.megabytes >= MOST_MEGABYTES][:1],
        "it takes too long": [a for a in answers if a.seconds >= MOST_SECONDS],
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "pattern", [p for _, p in GROUPS], ids=[f"f4-{name}" for name, _ in GROUPS]
)
def test_bombs_are_refused(tmp_path: Path, pattern: str) -> None:
    names = [name for name in BOMBS if re.match(pattern, name)]
    assert names
    for name in names:
        BOMBS[name](tmp_path / name)
    cases = [Case(name, str(tmp_path / name), actions=("qc", "convert")) for name in names]
    for answer in run_child(cases, seconds=300):
        is_fine = answer.case in SOUND or (answer.action == "qc" and answer.case in SHOWN)
        assert answer.outcome == ("fine" if is_fine else "refused"), answer
        assert answer.seconds < MOST_SECONDS, answer
        assert answer.megabytes < MOST_MEGABYTES, answer


def test_f4_each_bomb_is_in_a_group() -> None:
    lost = [n for n in BOMBS if not any(re.match(pattern, n) for _, pattern in GROUPS)]
    assert lost == []
