"""The contract of source formats: samples, the ways to damage them, and a child that reads.

The child reads cases as JSON lines from its input, does with each what commands do, and prints
one JSON line for each action. So its peak of memory is that of the reader alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import struct
import subprocess
import sys
import time
import traceback
import zipfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import tifffile
from czi_sources import Czi, write_czi
from dcimg_files import Dcimg, write_dcimg
from lif_sources import Lif, write_lif
from lsm_sources import Lsm, write_lsm
from nd2_sources import Nd2, write_nd2
from plane_sources import (
    compose_voxels,
    write_folder,
    write_imagej,
    write_imaris,
    write_nifti,
    write_ome,
    write_tif,
    write_zarr,
    write_zip,
)
from thorlabs_sources import Raw, write_raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VOXELS = compose_voxels((1, 2, 4, 20, 21))
HUGE = 10**6
"""A size along one axis that no sample has."""


@dataclass(frozen=True)
class Sample:
    """A sound image of one format, and headers that lie about it."""

    name: str
    write: Callable[[Path], None]
    lies: dict[str, Callable[[Path], None]]
    """Each makes the header of a sound sample promise more voxels, or others, than there are."""
    voxels: np.ndarray = field(default_factory=lambda: VOXELS)


def _zarr_metadata(**lies: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        file = path / "0" / "zarr.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | lies))

    return change


def _zipped_metadata(**lies: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        entries["0/zarr.json"] = json.dumps(json.loads(entries["0/zarr.json"]) | lies).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in entries.items():
                archive.writestr(name, data)

    return change


def _imaris_sizes(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        for channel in file["DataSet/ResolutionLevel 0/TimePoint 0"].values():
            for axis in "XYZ":
                channel.attrs[f"ImageSize{axis}"] = np.frombuffer(str(HUGE).encode(), "S1")


def _imaris_all(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        for channel in file["DataSet/ResolutionLevel 0/TimePoint 0"].values():
            del channel["Data"]
            shape, chunks = (HUGE, HUGE, HUGE), (4, 16, 16)
            channel.create_dataset("Data", shape, "uint16", chunks=chunks, compression="gzip")
            for axis in "ZYX":
                channel.attrs[f"ImageSize{axis}"] = np.frombuffer(str(HUGE).encode(), "S1")


def _imaris_channel(shape: tuple[int, ...], dtype: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            group = file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 1"]
            del group["Data"]
            form = {"chunks": (4, 16, 16), "compression": "gzip"}
            group.create_dataset("Data", shape, dtype, **form)[:4, :20, :21] = VOXELS[0, 1]

    return change


def _tag(name: str, value: object, pattern: str = "") -> Callable[[Path], None]:
    """Return a change of a tag of the first page of a TIFF, or of a file in a folder."""

    def change(path: Path) -> None:
        file = path / pattern if pattern else path
        with tifffile.TiffFile(file, mode="r+") as tiff:
            tiff.pages[0].tags[name].overwrite(value)

    return change


def _described(old: str, new: str) -> Callable[[Path], None]:
    """Return a change of the text that describes a TIFF."""

    def change(path: Path) -> None:
        text = tifffile.tiffcomment(path)
        assert old in text
        tifffile.tiffcomment(path, text.replace(old, new).encode())

    return change


def _packed(offset: int, layout: str, *values: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        struct.pack_into(layout, data, offset, *values)
        path.write_bytes(data)

    return change


LSM = Lsm(z=4, c=2, y=20, x=21, compression="zlib")


def _write_lsm(path: Path) -> None:
    write_lsm(path, LSM, VOXELS.transpose(0, 2, 1, 3, 4))


def _lsm_sizes(**sizes: int) -> Callable[[Path], None]:
    """Return a change of the sizes in the information of an LSM."""

    def change(path: Path) -> None:
        data = path.read_bytes()
        lie = replace(LSM, **sizes).info()
        assert LSM.info()[:28] in data
        path.write_bytes(data.replace(LSM.info()[:28], lie[:28]))

    return change


def _write_czi(path: Path) -> None:
    write_czi(path, Czi(z=4, y=20, x=21, tile=(20, 21)), VOXELS.transpose(0, 2, 1, 3, 4))


def _czi_place(axis: bytes, start: int, size: int, *lie: int) -> Callable[[Path], None]:
    """Return a change of the start and the size of tiles along an axis."""

    def change(path: Path) -> None:
        data = path.read_bytes()
        entry = axis + b"\0\0\0" + struct.pack("<2i", start, size)
        assert entry in data
        path.write_bytes(data.replace(entry, axis + b"\0\0\0" + struct.pack("<2i", *lie)))

    return change


def _exchanged(old: bytes, new: bytes) -> Callable[[Path], None]:
    """Return a change of some bytes to as many others."""

    def change(path: Path) -> None:
        data = path.read_bytes()
        assert old in data
        assert len(old) == len(new)
        path.write_bytes(data.replace(old, new))

    return change


def _nd2(name: str, value: int) -> bytes:
    """Return a name and a number as an ND2 file has them."""
    return name.encode("utf-16-le") + b"\0\0" + struct.pack("<I", value)


def _lif(text: str) -> bytes:
    return text.encode("utf-16-le")


RAW = Raw(z=4, c=2, y=20, x=21)


def _tell(path: Path, **lies: object) -> None:
    """Have the facts beside a RAW file tell others."""
    (path.parent / "Experiment.xml").write_text(replace(RAW, **lies).experiment())  # type: ignore[arg-type]


def _dcimg(**lies: int) -> Callable[[Path], None]:
    """Return a change to a file whose headers tell other numbers."""
    return lambda path: write_dcimg(path, VOXELS[0, 0], Dcimg(lies=lies)) and None


def _ome(path: Path) -> None:
    write_ome(path, VOXELS, compression="zlib")


SAMPLES = {
    "OME-Zarr": Sample(
        "a.ome.zarr",
        lambda path: write_zarr(path, VOXELS),
        {
            "sizes": _zarr_metadata(shape=[1, 2, HUGE, HUGE, HUGE]),
            "wider": _zarr_metadata(data_type="float64"),
        },
    ),
    "zipped OME-Zarr": Sample(
        "a.ozx",
        lambda path: write_zip(path, VOXELS),
        {
            "sizes": _zipped_metadata(shape=[1, 2, HUGE, HUGE, HUGE]),
            "wider": _zipped_metadata(data_type="float64"),
        },
    ),
    "Imaris": Sample(
        "a.ims",
        lambda path: write_imaris(path, VOXELS),
        {
            "sizes": _imaris_sizes,
            "all channels larger": _imaris_all,
            "one channel larger": _imaris_channel((4, HUGE, HUGE), "uint16"),
            "one channel wider": _imaris_channel((4, 32, 32), "float64"),
        },
    ),
    "OME-TIFF": Sample(
        "a.ome.tif",
        _ome,
        {
            "planes": _described('SizeZ="4"', f'SizeZ="{HUGE}"'),
            "sizes": _described('SizeX="21"', f'SizeX="{HUGE}"'),
            "type": _described('Type="uint16"', 'Type="double"'),
            "length": _tag("ImageLength", HUGE),
            "wider": _tag("BitsPerSample", 32),
        },
    ),
    "TIFF": Sample(
        "a.tif",
        lambda path: write_imagej(path, VOXELS),
        {
            "planes": _described("slices=4", f"slices={HUGE}"),
            "length": _tag("ImageLength", HUGE),
            "wider": _tag("BitsPerSample", 32),
        },
    ),
    "LSM": Sample(
        "a.lsm",
        _write_lsm,
        {
            "planes": _lsm_sizes(z=HUGE),
            "sizes": _lsm_sizes(x=HUGE),
            "channels": _lsm_sizes(c=3),
            "other order": _lsm_sizes(z=2, c=4),
            "length": _tag("ImageLength", HUGE),
            "times": _lsm_sizes(t=2, z=2),
        },
    ),
    "CZI": Sample(
        "a.czi",
        _write_czi,
        {
            "sizes": _czi_place(b"X", 0, 21, 0, HUGE),
            "a plane far away": _czi_place(b"Z", 3, 1, HUGE, 1),
            "two planes in one": _czi_place(b"Z", 3, 1, 2, 1),
        },
    ),
    "ND2": Sample(
        "a.nd2",
        lambda path: write_nd2(path, Nd2(z=4, y=20, x=21), VOXELS.transpose(0, 2, 1, 3, 4)[None]),
        {
            "planes": _exchanged(_nd2("uiCount", 4), _nd2("uiCount", HUGE)),
            "sizes": _exchanged(_nd2("uiHeight", 20), _nd2("uiHeight", HUGE)),
            "wider": _exchanged(_nd2("uiBpcInMemory", 16), _nd2("uiBpcInMemory", 32)),
            "other frames": _exchanged(b"ImageDataSeq|3!", b"ImageDataSeq|9!"),
        },
    ),
    "LIF": Sample(
        "a.lif",
        lambda path: write_lif(path, [Lif(z=4, y=20, x=21)], [VOXELS.transpose(0, 2, 1, 3, 4)]),
        {
            "planes": _exchanged(_lif('Elements="4"'), _lif('Elements="9"')),
            "sizes": _exchanged(_lif('Elements="21"'), _lif('Elements="99"')),
            "wider": _exchanged(_lif('Resolution="16"'), _lif('Resolution="32"')),
            "steps": _exchanged(_lif('BytesInc="42"'), _lif('BytesInc="99"')),
        },
    ),
    "Thorlabs RAW": Sample(
        "a.raw",
        lambda path: write_raw(path, RAW, VOXELS.transpose(0, 2, 1, 3, 4)),
        {
            "planes": lambda path: _tell(path, z=HUGE),
            "sizes": lambda path: _tell(path, x=HUGE, y=HUGE),
            "wider": lambda path: _tell(path, dtype="float32"),
        },
    ),
    "DCIMG": Sample(
        "a.dcimg",
        lambda path: write_dcimg(path, VOXELS[0, 0]),
        {
            "frames": _dcimg(frames=HUGE, session_frames=HUGE),
            "one count": _dcimg(frames=3),
            "rows": _dcimg(height=19),
            "columns": _dcimg(width=HUGE),
            "sizes": _dcimg(height=2**16, row_bytes=2**20, width=2**18, image_bytes=2**36 - 1),
            "wider": _dcimg(depth=4),
            "footer": _dcimg(footer=40),
            "sessions": _dcimg(sessions=2),
            "far away": _dcimg(data_offset=2**60),
            "size": _dcimg(file_size=2**63),
            "unknown version": _packed(8, "<I", 0x3000000),
        },
        VOXELS[:, :1],
    ),
    "NIfTI": Sample(
        "a.nii",
        lambda path: write_nifti(path, VOXELS),
        {
            # Offsets of dim and datatype with bitpix: nifti1.h.
            "sizes": _packed(42, "<3h", 32767, 32767, 32767),
            "wider": _packed(70, "<2h", 64, 64),
        },
    ),
    "folder of planes": Sample(
        "planes",
        lambda path: write_folder(path, VOXELS[:, :1], write_tif, "p_{z:03}.tif"),
        {
            "length": _tag("ImageLength", HUGE, "p_000.tif"),
            "length of one": _tag("ImageLength", HUGE, "p_002.tif"),
            "wider": _tag("BitsPerSample", 32, "p_001.tif"),
        },
        VOXELS[:, :1],
    ),
}
"""By the name of the format: a format without a sample fails the contract."""


@dataclass(frozen=True)
class Case:
    """One path, and all that is done with it."""

    name: str
    path: str
    form: str = ""
    made: str = ""
    """An image that was made of the sound sample, to be compared with the path."""
    voxels: str = ""
    """A file of the only voxels that a conversion may have."""
    actions: tuple[str, ...] = ("examine", "header", "voxels", "convert", "compare")


ALL_ACTIONS = (*Case.actions, "qc")
"""Of a sound sample: it can be looked at as well."""


@dataclass(frozen=True)
class Answer:
    """What came of one action."""

    case: str
    path: str
    action: str
    outcome: str
    """`fine`, `refused`, `wrong` voxels, or `raised` what it may not."""
    message: str
    seconds: float
    """Of the processor."""
    megabytes: int
    """The peak of the process so far."""


def compose_cases(form: str, folder: Path, fuzzed: int = 40) -> Iterator[Case]:
    """Write a sound sample of a format and all damaged ones, and yield a case for each."""
    sample = SAMPLES[form]
    sound = folder / "sound" / sample.name
    sound.parent.mkdir()
    sample.write(sound)
    np.save(folder / "sound.npy", sample.voxels)
    made, voxels = str(folder / "made.ome.zarr"), str(folder / "sound.npy")
    yield Case("sound", str(sound), form, made, voxels, ALL_ACTIONS)
    for name, path, data in _cut(sound, folder):
        path.write_bytes(data)
        yield Case(name, str(folder / name / sample.name), form, made, voxels)
    if sound.is_dir():
        (folder / "no files" / sample.name).mkdir(parents=True)
        yield Case("no files", str(folder / "no files" / sample.name), form, made, voxels)
    for other, its in SAMPLES.items():
        if other != form:
            path = folder / f"other-{other}" / sample.name
            path.parent.mkdir()
            its.write(path.parent / its.name)
            (path.parent / its.name).rename(path)
            np.save(path.parent / "its.npy", its.voxels)
            yield Case(f"other-{other}", str(path), form, made, str(path.parent / "its.npy"))
    for name, lie in sample.lies.items():
        path = _copy(sound, folder / f"lie-{name}")
        lie(path)
        yield Case(f"lie-{name}", str(path), form, made, voxels)
    chance = random.Random(form)
    for number in range(fuzzed):
        path = _copy(sound, folder / f"fuzzed-{number}")
        _spoil(path, chance)
        yield Case(f"fuzzed-{number}", str(path), form, made)


def _copy(sound: Path, folder: Path) -> Path:
    """Copy a sample with the files beside it that belong to it."""
    shutil.copytree(sound.parent, folder)
    return folder / sound.name


def _cut(sound: Path, folder: Path) -> Iterator[tuple[str, Path, bytes]]:
    """Yield copies with one file cut off: metadata, or voxels, at several lengths."""
    inside = [Path()]
    if sound.is_dir():
        files = [p.relative_to(sound) for p in sorted(sound.rglob("[!.]*")) if p.is_file()]
        files = [p for p in files if p.suffix != ".txt"]
        inside = [p for p in files if p.suffix == ".json"]
        inside.append([p for p in files if p not in inside][-1])
    for number, file in enumerate(inside):
        data = (sound / file).read_bytes()
        size = len(data)
        lengths = {0, 1, 7, 100, size // 4, size // 2, 3 * size // 4, size - 2, size - 1}
        for length in sorted(n for n in lengths if n < size):
            name = f"cut-{number}-{length}"
            yield name, _copy(sound, folder / name) / file, data[:length]


def _spoil(path: Path, chance: random.Random) -> None:
    """Change some bytes of a file, or of a file of a folder, and cut it off at times."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    file = chance.choice(files)
    data = bytearray(file.read_bytes())
    if chance.random() < 0.2:
        del data[chance.randrange(len(data)) :]
    for _ in range(chance.choice([1, 2, 8, 64])):
        if data:
            data[chance.randrange(len(data))] = chance.randrange(256)
    file.write_bytes(data)


def run_child(cases: list[Case], seconds: float) -> list[Answer]:
    """Have a child of its own memory do all cases, in their order."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__],
        input="".join(json.dumps(asdict(case)) + "\n" for case in cases),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    answers = [Answer(**json.loads(line)) for line in done.stdout.splitlines()]
    count = sum(len(case.actions) for case in cases)
    assert len(answers) == count, (answers[-1:], done.returncode, done.stderr[-2000:])
    return answers


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _read_regions(case: Case) -> tuple[str, str]:
    """Read a region of each level, all of it where it is small."""
    from spimpack_tasks.volumes.volume import open_volume

    with open_volume(case.path, case.form, accept_unclear=True) as volume:
        for level in volume.levels:
            small = np.prod(level.shape, dtype=float) <= 2**20
            level.read(tuple(slice(0, n if small else min(n, 8)) for n in level.shape))
    return "fine", ""


def _command(*arguments: str) -> tuple[str, str]:
    """Run a command of ours here; return its outcome and all that it printed."""
    from spimpack_tasks.cli.main import main

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = main([*arguments])
    text = printed.getvalue()
    if "Traceback" in text or code not in {0, 2, 3, 4}:
        return "raised", f"exit {code}: {text[-1500:]}"
    return "refused" if code else "fine", text


def _convert(case: Case) -> tuple[str, str]:
    from spimpack_tasks.volumes.volume import open_volume

    target = case.path + ".o.ome.zarr"
    if case.name == "sound":
        target = case.made
    outcome, text = _command("convert", case.path, target)
    if outcome == "fine" and case.voxels:
        with open_volume(target) as volume:
            level = volume.levels[0]
            voxels = level.read(tuple(slice(0, n) for n in level.shape))
        wanted = np.load(case.voxels)
        if voxels.dtype != wanted.dtype or not np.array_equal(voxels, wanted):
            return "wrong", text
    return outcome, text


def _examine(case: Case) -> tuple[str, str]:
    from spimpack_tasks.volumes.examine import examine_source

    examine_source(case.path)
    return "fine", ""


def _read_header(case: Case) -> tuple[str, str]:
    from spimpack_tasks.volumes.read_header import read_header

    read_header(case.path, case.form)
    return "fine", ""


def _compare(case: Case) -> tuple[str, str]:
    from spimpack_tasks.volumes.compare import compare_with_source
    from spimpack_tasks.volumes.formats import format_named

    form = format_named(case.form)
    faults = list(compare_with_source(case.path, form, case.made, lambda _: None))
    return ("wrong" if faults else "fine"), "; ".join(faults)[:500]


ACTIONS = {
    "examine": _examine,
    "header": _read_header,
    "voxels": _read_regions,
    "convert": _convert,
    "compare": _compare,
    "qc": lambda case: _command("qc", case.path, "--output", f"{case.path}.html"),
}


def _act(case: Case, action: str) -> tuple[str, str]:
    """Do one thing with a path, as commands do."""
    from spimpack_tasks.errors import SpimpackError
    from spimpack_tasks.volumes.errors import SourceRefusedError
    from spimpack_tasks.volumes.source_errors import UNCONVERTIBLE

    try:
        return ACTIONS[action](case)
    except (SourceRefusedError, SpimpackError) as error:
        return "refused", str(error)
    except Exception as error:  # noqa: BLE001 - the contract is that there is none
        if isinstance(error, OSError) and isinstance(error.__cause__, UNCONVERTIBLE):
            return "refused", str(error)  # by `as_os_errors`
        return "raised", f"{error!r}: {traceback.format_exc()[-1500:]}"


def _main() -> None:
    for line in sys.stdin:
        told = json.loads(line)
        case = Case(**told | {"actions": tuple(told["actions"])})
        for action in case.actions:
            begun = time.process_time()  # other programs do not make it take longer
            outcome, message = _act(case, action)
            seconds = time.process_time() - begun
            answer = Answer(case.name, case.path, action, outcome, message, seconds, _peak())
            sys.stdout.write(json.dumps(asdict(answer)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _main()
