"""`spimpack certify` and `restore`: what may be deleted, and the way back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from zarr_readers import read_with_tensorstore

from spimpack_tasks import api
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.verification import certify as module
from spimpack_tasks.verification import pixels

MANIFEST = """\
dataset_description: {Name: Small, BIDSVersion: "1.10.0", DatasetType: raw, License: CC0}
scans_tsv: scans.tsv
"""
HEAD = (
    "subject\tsample\tspim_path\torientation_string_xyz\tsample_staining\tPixelSize\tPixelSizeUnits"
)
SHAPE = (40, 150, 130)


def voxels(number: int, dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(number).integers(0, 4000, SHAPE).astype(dtype)


def digest_plainly(values: np.ndarray) -> str:
    """Return the digest of voxels along t, c, z, y, x, as the documentation has it."""
    little = values.astype(values.dtype.newbyteorder("<"))
    planes = (hashlib.sha256(plane.tobytes()).digest() for plane in little.reshape(-1, *SHAPE[1:]))
    return hashlib.sha256(b"".join(planes)).hexdigest()


def make_study(folder: Path, backend: str = "ome-zarr:convert=all") -> Path:
    (folder / "raw").mkdir(parents=True)
    rows = []
    for number, dtype in enumerate(("uint16", "uint8")):
        name = f"raw/{number}.ome.tif"
        tifffile.imwrite(folder / name, voxels(number, dtype), metadata={"axes": "ZYX"})
        rows.append(f"{number:02}\tbrain\t{name}\tRPI\tDAPI\t1;1;1\tum")
    (folder / "manifest.yml").write_text(MANIFEST)
    (folder / "scans.tsv").write_text("\n".join([HEAD, *rows, ""]))
    package(folder, backend)
    return folder


def package(folder: Path, backend: str) -> None:
    command = ["package", str(folder / "manifest.yml"), str(folder / "bids"), "--backend", backend]
    assert main(command) == ExitCode.OK


@pytest.fixture(scope="module")
def certified(tmp_path_factory) -> Path:
    folder = make_study(tmp_path_factory.mktemp("study") / "s")
    assert main(["certify", str(folder / "bids")]) == ExitCode.OK
    return folder


@pytest.fixture
def study(certified, tmp_path) -> Path:
    """A copy whose sources keep their path, so the certificate still knows them."""
    shutil.copytree(certified / "bids", tmp_path / "bids", symlinks=True)
    return tmp_path


def certificate(folder: Path) -> dict:
    return json.loads((folder / "bids/.spimpack/certificate.json").read_text())


def images(folder: Path) -> list[Path]:
    return sorted((folder / "bids").rglob("*.ome.zarr"))


def check(folder: Path) -> int:
    return main(["certify", str(folder / "bids"), "--check"])


def test_the_certificate_tells_what_was_proven(certified, capsys):
    told = certificate(certified)
    assert told["unproven"] == {}
    assert sorted(told["images"]) == [
        str(path.relative_to(certified / "bids")) for path in images(certified)
    ]
    for number, image in enumerate(told["images"].values()):
        values = voxels(number, ("uint16", "uint8")[number])
        assert image["voxels_sha256"] == digest_plainly(values)
        assert image["shape_tczyx"] == [1, 1, *SHAPE]
        assert image["dtype"] == values.dtype.name
        source = certified / f"raw/{number}.ome.tif"
        assert image["sources"] == [str(source)]
        assert told["sources"][str(source)] == {
            "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
            "size": source.stat().st_size,
            "unsafe": "",
        }
    for path, image in zip(images(certified), told["images"].values(), strict=True):
        arrays = [group for group in path.iterdir() if group.name.isdigit()]
        assert image["levels"] == len(arrays)
    assert told["libraries"]["zarr"] == zarr.__version__
    assert main(["certify", str(certified / "bids")]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "2 images proven equal to the originals, 0 not; 2 originals" in out
    assert all(f"safe to delete: {certified}/raw/{n}.ome.tif" in out for n in (0, 1))
    assert all((certified / f"raw/{n}.ome.tif").exists() for n in (0, 1))


def test_after_the_originals_are_gone_it_still_holds(tmp_path, capsys):
    folder = make_study(tmp_path / "s")
    assert main(["certify", str(folder / "bids")]) == ExitCode.OK
    shutil.rmtree(folder / "raw")
    assert check(folder) == ExitCode.OK
    shutil.move(folder / "bids", tmp_path / "elsewhere")
    assert main(["certify", str(tmp_path / "elsewhere"), "--check"]) == ExitCode.OK
    assert "2 images certified" in capsys.readouterr().out
    # What was proven while they were there is not forgotten by a second proof.
    path = tmp_path / "elsewhere/.spimpack/certificate.json"
    before = json.loads(path.read_text())
    assert main(["certify", str(tmp_path / "elsewhere")]) == ExitCode.OK
    after = json.loads(path.read_text())
    assert (after["images"], after["sources"]) == (before["images"], before["sources"])
    # But it is not believed of an image that is another one now.
    image = next((tmp_path / "elsewhere").rglob("*.ome.zarr"))
    array = zarr.open_array(image / "0", mode="r+")
    array[..., 3, 4, 5] = array[..., 3, 4, 5] + 1
    assert main(["certify", str(tmp_path / "elsewhere")]) == ExitCode.CONFLICT


@pytest.mark.parametrize("harm", ["a bit", "gone"])
def test_the_last_proof_of_a_damaged_image_is_kept(tmp_path, capsys, harm):
    folder = make_study(tmp_path / "s")
    bids, aside = folder / "bids", tmp_path / "aside"
    assert main(["certify", str(bids)]) == ExitCode.OK
    certificate = bids / ".spimpack/certificate.json"
    before = json.loads(certificate.read_text())
    (folder / "raw").rename(tmp_path / "not mounted")
    image = min(bids.rglob("*.ome.zarr"))
    shutil.copytree(image, aside)
    if harm == "gone":
        shutil.rmtree(image)
    else:
        path = next(
            path for path in sorted((image / "0").rglob("*")) if path.is_file() and path.name == "0"
        )
        flip(path, 20)
    capsys.readouterr()
    assert main(["certify", str(bids)]) == ExitCode.CONFLICT
    out = capsys.readouterr().out
    name = str(image.relative_to(bids))
    assert f"not safe: {name}: " in out
    assert f"not safe: {name}: missing\n" in out or harm != "gone"
    assert "1 image proven equal to the originals, 1 not; 1 original (" in out
    assert out.count("safe to delete: ") == 1
    assert json.loads(certificate.read_text())["images"] == before["images"]
    assert check(folder) == ExitCode.CONFLICT
    shutil.rmtree(image, ignore_errors=True)
    aside.rename(image)
    assert check(folder) == ExitCode.OK
    assert main(["certify", str(bids)]) == ExitCode.OK
    assert main(["restore", str(image), str(tmp_path / "back.ome.tif")]) == ExitCode.OK


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def test_a_flipped_bit_in_any_file_of_an_image_breaks_it(study):
    assert check(study) == ExitCode.OK
    random.seed(1)
    files = [p for image in images(study) for p in image.rglob("*") if p.is_file()]
    assert len(files) > 6
    for path in files:
        data = path.read_bytes()
        for at in {0, len(data) - 1, random.randrange(len(data))}:
            flip(path, at, random.randrange(8))
            assert check(study) == ExitCode.CONFLICT, (path, at)
            path.write_bytes(data)
    assert check(study) == ExitCode.OK


def test_a_flipped_bit_anywhere_in_the_certificate_breaks_it(study, capsys):
    path = study / "bids/.spimpack/certificate.json"
    data = path.read_bytes()
    random.seed(2)
    for at in [0, len(data) - 1, *random.sample(range(len(data)), 150)]:
        flip(path, at, random.randrange(7))
        assert check(study) == ExitCode.CONFLICT, (at, path.read_bytes()[at - 10 : at + 10])
        assert "Traceback" not in capsys.readouterr().err
        path.write_bytes(data)


@pytest.mark.parametrize("harm", ["missing", "other file", "extra file"])
def test_harm_to_an_image_is_told(study, capsys, harm):
    image = images(study)[0]
    if harm == "missing":
        shutil.rmtree(image)
    elif harm == "extra file":
        (image / "notes.txt").write_text("x")
    else:
        next(p for p in image.rglob("*") if p.is_file() and p.name != "zarr.json").unlink()
    assert check(study) == ExitCode.CONFLICT
    assert image.name in capsys.readouterr().out


def test_an_original_that_changed_since_is_told(tmp_path, capsys):
    folder = make_study(tmp_path / "s")
    assert main(["certify", str(folder / "bids")]) == ExitCode.OK
    flip(folder / "raw/1.ome.tif", -1)
    assert check(folder) == ExitCode.CONFLICT
    assert "raw/1.ome.tif" in capsys.readouterr().out


def test_a_difference_is_found_and_nothing_is_called_safe(tmp_path, capsys):
    folder = make_study(tmp_path / "s")
    array = zarr.open_array(images(folder)[0] / "0", mode="r+")
    array[..., 3, 4, 5] = array[..., 3, 4, 5] + 1
    assert main(["certify", str(folder / "bids")]) == ExitCode.CONFLICT
    out = capsys.readouterr().out
    assert "pixels differ" in out
    assert "safe to delete: " + str(folder / "raw/0.ome.tif") not in out
    assert f"safe to delete: {folder / 'raw/1.ome.tif'}" in out
    told = certificate(folder)
    assert "not proven" in told["sources"][str(folder / "raw/0.ome.tif")]["unsafe"]


def test_deviations_of_an_image_are_a_few_lines_and_all_in_the_certificate(tmp_path, capsys):
    folder = make_study(tmp_path / "s", "ome-zarr:convert=all,chunk=8,32,32")
    with zarr_of_first(folder) as array:
        array[:] = 0
    capsys.readouterr()
    assert main(["certify", str(folder / "bids")]) == ExitCode.CONFLICT
    lines = capsys.readouterr().out.splitlines()
    about = [line for line in lines if line.startswith("pixels differ: sub-00")]
    assert len(about) == 3
    name = images(folder)[0].relative_to(folder / "bids").as_posix()
    faults = certificate(folder)["faults"]
    assert list(faults) == [name]
    assert len(faults[name]) == 101  # a hundred, and how many more there are
    assert faults[name][-1].endswith("more faults")
    assert f"{name}: 98 more lines in .spimpack/certificate.json" in lines
    assert all("level 0" in fault for fault in faults[name][:-1])


def zarr_of_first(folder: Path):
    return contextlib.nullcontext(zarr.open_array(images(folder)[0] / "0", mode="r+"))


def write_again(path: Path) -> None:
    """Write other voxels, and put the time back."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("when", ["compared", "certified"])
def test_an_original_that_is_written_meanwhile_is_not_safe(tmp_path, monkeypatch, capsys, when):
    folder = make_study(tmp_path / "s")
    source = folder / "raw/0.ome.tif"
    place = pixels if when == "compared" else module
    name = "compare_with_source" if when == "compared" else "measure_image"
    original = getattr(place, name)

    def written(*arguments):
        found = original(*arguments)
        if when == "compared":
            found = iter([*found])
        if b"sub-00" in str(arguments).encode():
            write_again(source)
        return found

    monkeypatch.setattr(place, name, written)
    assert main(["certify", str(folder / "bids")]) != ExitCode.OK
    told = capsys.readouterr().out
    assert f"safe to delete: {folder / 'raw/1.ome.tif'}" in told
    assert f"safe to delete: {source}" not in told
    assert "while it was" in certificate(folder)["sources"][str(source)]["unsafe"]


def test_a_mode_or_link_of_an_original_is_no_change(tmp_path, monkeypatch):
    folder = make_study(tmp_path / "s")
    source = folder / "raw/0.ome.tif"
    original = module.measure_image

    def touched(*arguments):
        source.chmod(0o600)
        (folder / "link").unlink(missing_ok=True)
        (folder / "link").hardlink_to(source)
        return original(*arguments)

    monkeypatch.setattr(module, "measure_image", touched)
    assert main(["certify", str(folder / "bids")]) == ExitCode.OK


def test_a_linked_image_is_not_safe(tmp_path, capsys):
    folder = make_study(tmp_path / "s", "ome-zarr")  # TIFFs are linked
    assert main(["certify", str(folder / "bids")]) == ExitCode.FAILED
    out = capsys.readouterr().out
    assert "not safe" in out
    assert "safe to delete" not in out.replace("safe to delete, 2", "")
    assert certificate(folder)["images"] == {}


def write_two_images(path: Path) -> None:
    with tifffile.TiffWriter(path, ome=True) as writer:
        for number in (0, 1):
            writer.write(voxels(number), metadata={"axes": "ZYX"})


@pytest.mark.parametrize("scenes", [("0",), ("0", "1")])
def test_a_source_of_several_images_is_safe_when_all_are_there(tmp_path, capsys, scenes):
    folder = tmp_path / "s"
    (folder / "raw").mkdir(parents=True)
    write_two_images(folder / "raw/two.ome.tif")
    rows = [f"{s}\tbrain\traw/two.ome.tif\tRPI\tDAPI\t1;1;1\tum\t{s}" for s in scenes]
    (folder / "manifest.yml").write_text(MANIFEST)
    (folder / "scans.tsv").write_text("\n".join([f"{HEAD}\tscene", *rows, ""]))
    package(folder, "ome-zarr:convert=all")
    code = main(["certify", str(folder / "bids")])
    out = capsys.readouterr().out
    if len(scenes) == 2:
        assert code == ExitCode.OK
        assert "safe to delete: " in out
    else:
        assert code == ExitCode.FAILED
        assert "it holds 2 images, of which 1 were converted" in out


def test_metadata_that_were_left_out_are_a_reason_to_keep(tmp_path, capsys):
    folder = make_study(tmp_path / "s", "ome-zarr:convert=all,original=drop")
    assert main(["certify", str(folder / "bids")]) == ExitCode.FAILED
    assert "its metadata as texts" in capsys.readouterr().out


def test_a_new_image_is_not_certified(study, certified, tmp_path, capsys):
    shutil.copytree(certified, tmp_path / "s", symlinks=True)
    folder = tmp_path / "s"
    tifffile.imwrite(folder / "raw/2.ome.tif", voxels(2), metadata={"axes": "ZYX"})
    with (folder / "scans.tsv").open("a") as file:
        file.write("02\tbrain\traw/2.ome.tif\tRPI\tDAPI\t1;1;1\tum\n")
    package(folder, "ome-zarr:convert=all")
    capsys.readouterr()
    assert check(folder) == ExitCode.FAILED
    assert "not certified: sub-02" in capsys.readouterr().err
    assert study


def test_without_a_certificate(tmp_path, capsys):
    folder = make_study(tmp_path / "s")
    assert check(folder) == ExitCode.CONFLICT
    assert "spimpack certify makes one" in capsys.readouterr().err
    image = images(folder)[0]
    assert main(["restore", str(image), str(tmp_path / "a.tif")]) == ExitCode.CONFLICT
    assert not (tmp_path / "a.tif").exists()
    assert main(["restore", str(image), str(tmp_path / "a.tif"), "--uncertified"]) == ExitCode.OK
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif").squeeze(), voxels(0))
    assert "not certified" in capsys.readouterr().out


@pytest.mark.parametrize("ending", [".ome.tif", ".tif", ".tiff", ".raw"])
@pytest.mark.parametrize("number", [0, 1])
def test_an_image_is_written_back(study, ending, number):
    image, target = images(study)[number], study / f"back{ending}"
    assert main(["restore", str(image), str(target)]) == ExitCode.OK
    wanted = voxels(number, ("uint16", "uint8")[number])
    if ending == ".raw":
        found = np.fromfile(target, wanted.dtype).reshape(SHAPE)
    else:
        found = tifffile.imread(target).squeeze()
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(found, read_with_tensorstore(image)[0, 0])
    assert sorted(os.listdir(study)) == sorted(["bids", f"back{ending}"])


def test_a_tampered_image_is_not_written_back(study, capsys):
    image = images(study)[0]
    array = zarr.open_array(image / "0", mode="r+")
    array[..., 3, 4, 5] = array[..., 3, 4, 5] + 1
    assert main(["restore", str(image), str(study / "a.tif")]) == ExitCode.CONFLICT
    assert "other voxels than were certified" in capsys.readouterr().err
    assert sorted(os.listdir(study)) == ["bids"]


def test_nothing_is_overwritten(study, capsys):
    target = study / "a.tif"
    target.write_text("mine")
    assert main(["restore", str(images(study)[0]), str(target)]) == ExitCode.BAD_INPUT
    assert target.read_text() == "mine"
    for name, expected in (("a.png", "does not end in"), ("none/a.tif", "is not a folder")):
        assert main(["restore", str(images(study)[0]), str(study / name)]) == ExitCode.BAD_INPUT
        assert expected in capsys.readouterr().err


def test_nothing_is_written_into_the_image(study, capsys):
    image = images(study)[0]
    before = sorted(image.rglob("*"))
    assert main(["restore", str(image), str(image / "a.tif")]) == ExitCode.BAD_INPUT
    assert "lies in the image, which is only read" in capsys.readouterr().err
    assert sorted(image.rglob("*")) == before


@pytest.mark.parametrize("dtype", ["float16", "int64", "uint64"])
def test_voxels_that_ome_tiff_has_not_go_into_other_files(tmp_path, capsys, dtype):
    values = voxels(0).astype(dtype)
    source, image = tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr"
    spec = api.VolumeSpec((1, 1, *SHAPE), values.dtype, axes="zyx")
    with api.create_volume(source, spec) as writer:
        for block in writer.missing():
            writer.write(block, values[None, None][block.region])
        writer.finish()
    assert main(["rechunk", str(source), str(image), "--codec", "lz4"]) == ExitCode.OK
    command = ["restore", "--uncertified", str(image)]
    assert main([*command, str(tmp_path / "a.ome.tif")]) == ExitCode.BAD_INPUT
    assert f"no voxels of type {dtype}; write a .tif or .raw" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "a.tif")]) == ExitCode.OK
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif").squeeze(), values)


def test_a_full_disk_is_named_before_anything_is_written(study, monkeypatch, capsys):
    usage = shutil.disk_usage(study)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert main(["restore", str(images(study)[0]), str(study / "a.tif")]) == ExitCode.FAILED
    assert "the disk has 1.0 kB" in capsys.readouterr().err
    assert sorted(os.listdir(study)) == ["bids"]


def test_certifying_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    from spimpack_tasks.state.store import Store
    from spimpack_tasks.verification import certify as module

    folder = make_study(tmp_path / "s")
    store = Store(str(folder / "bids"))
    compared = []
    original = module.compare_image

    def compare(root, output, log, advance):
        compared.append(output.path)
        if len(compared) == 2:
            raise KeyboardInterrupt
        return original(root, output, log, advance)

    monkeypatch.setattr(module, "compare_image", compare)
    with pytest.raises(KeyboardInterrupt):
        module.certify(store, lambda _: None)
    assert not (folder / "bids/.spimpack/certificate.json").exists()
    read = []
    from spimpack_tasks.verification import pixels

    monkeypatch.setattr(
        pixels, "compare_with_source", lambda *given: read.append(given[0]) or iter(())
    )
    monkeypatch.setattr(module, "compare_image", original)
    found = module.certify(store, lambda _: None)
    assert [os.path.basename(path) for path in read] == ["1.ome.tif"]
    assert len(found.certificate.images) == 2
    left = {p.name for p in (folder / "bids/.spimpack").iterdir() if p.name.startswith("certify")}
    assert left == set()
