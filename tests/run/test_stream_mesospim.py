"""The image writer for mesoSPIM-control, in a stand-in of the program.

The stand-in is written from the developers' guide of mesoSPIM-control, chapter "Plugin System": it
loads each file of a plug-in folder, and looks for classes that are defined there and have the
methods of the interface. Then it calls `open`, `write_frame`, `finalize` or `abort`. A request has
the attributes that the guide and the interface name.
"""

import importlib.util
import inspect
import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
from stream_models import images_of, make_frames
from test_stream_zarr import attributes_of, check_image, valid_by_all

from spimpack_tasks.errors import InputError, OccupiedError
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.pipelines import package
from spimpack_tasks.streams import StreamWatch, finish_stream
from spimpack_tasks.validation.bids_validator import run_bids_validator

PLUGIN = '''\
from spimpack_tasks.streams.mesospim import MesospimWriter


class SpimpackWriter(MesospimWriter):
    """Write each stack as an OME-Zarr into a BIDS dataset."""
'''
CLASS_METHODS = ("api_version", "name", "capabilities", "file_extensions", "file_names")
METHODS = ("open", "write_frame", "finalize", "abort")
SHAPE = (6, 40, 30)


class AcquisitionList(list):
    """The stacks of an experiment."""

    def get_tile_index(self, acq):
        places = [(each["x_pos"], each["y_pos"]) for each in self]
        return list(dict.fromkeys(places)).index((acq["x_pos"], acq["y_pos"]))


def count(stacks, *keys):
    return len({tuple(each[key] for key in keys) for each in stacks})


class Mesospim:
    """What the program does with a plug-in."""

    def __init__(self, folder, config):
        self.config, self.writers = config, {}
        for path in sorted(folder.glob("*.py")):
            name = f"mesospim_plugin_{path.stem}"
            spec = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            for _, found in inspect.getmembers(module, inspect.isclass):
                if found.__module__ == name and all(
                    hasattr(found, each) for each in ("writer", *CLASS_METHODS, *METHODS)
                ):
                    self.writers[found.name()] = found

    def request(self, stack, stacks, **more):
        told = {
            "uri": f"{stack['folder']}/{stack['filename']}",
            "shape": SHAPE,
            "dtype": "uint16",
            "axes": "ZYX",
            "x_res": 0.5,
            "y_res": 0.5,
            "z_res": 2.0,
            "unit": "microns",
            "num_tiles": count(stacks, "x_pos", "y_pos"),
            "num_channels": count(stacks, "laser"),
            "num_rotations": count(stacks, "rot"),
            "num_shutters": count(stacks, "shutterconfig"),
            "acq": stack,
            "acq_list": stacks,
            "writer_config_file_values": self.config,
        }
        return SimpleNamespace(**told | more)

    def frame(self, image, number, stack, stacks):
        return SimpleNamespace(
            image=image, current_image_counter=number, acq=stack, acq_list=stacks
        )


def make_stack(folder, number, **more):
    told = {
        "folder": str(folder),
        "filename": f"brain_Mag4x_Tile{number}_Ch488.ome.zarr",
        "laser": "488 nm",
        "x_pos": 1000.0 * number,
        "y_pos": -50.0,
        "z_start": 300.0,
        "rot": 0,
        "shutterconfig": "Left",
    }
    return told | more


@pytest.fixture
def plugins(tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "spimpack_writer.py").write_text(PLUGIN)
    return tmp_path / "plugins"


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    description = {
        "Name": "Test", "BIDSVersion": "1.10.0", "DatasetType": "raw", "License": "CC0",
        "Authors": ["A One"],
    }  # fmt: skip
    data = {"dataset_description": description, "scans_tsv": "scans.tsv"}
    (folder / "manifest.yml").write_text(json.dumps(data))  # JSON is YAML
    return folder


CONFIG = {
    "manifest": "manifest.yml",
    "sub": "01",
    "sample": "brain",
    "orientation": "RPI",
    "compression": "blosc",
    "stains": {"488 nm": "YoPro", "640 nm": "Abeta"},
    "columns": {"NumericalAperture": 0.1},
}


def rows_of(study):
    head, *lines = (study / "scans.tsv").read_text("utf-8").splitlines()
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


def acquire(program, stack, stacks, frames):
    writer = program.writers["Spimpack_OME_Zarr"]()
    writer.open(program.request(stack, stacks))
    for number, image in enumerate(frames):
        writer.write_frame(program.frame(image, number, stack, stacks))
    writer.finalize(SimpleNamespace(acq=stack, acq_list=stacks))
    writer.finalize(SimpleNamespace(acq=stack, acq_list=stacks))
    return writer


def test_i18_mesospim_finds_the_writer_and_its_texts(plugins):
    (writer,) = Mesospim(plugins, {}).writers.values()
    assert writer.api_version().split(".")[0] == "0"
    assert writer.file_extensions() == ["ome.zarr"]
    names = writer.file_names()
    assert names.WindowDescription == writer.name() == "Spimpack_OME_Zarr"
    assert names.FormatSelectionOption
    assert not names.SingleFileFormat
    assert "uint16" in writer.capabilities().dtype
    assert writer().compatible_suffix(SimpleNamespace(uri="a/b.ome.zarr"))


def test_i18_mesospim_tiles_become_a_valid_dataset_while_the_microscope_runs(plugins, study):
    program = Mesospim(plugins, CONFIG)
    stacks = AcquisitionList(make_stack(study, number) for number in range(3))
    frames = make_frames((3, *SHAPE))
    writer = acquire(program, stacks[0], stacks, frames[0])
    path = study / stacks[0]["filename"]
    assert writer.metadata_file == f"{path}_meta.txt"
    check_image(path, images_of(frames[0], "zyx")[0])
    valid_by_all(path)
    acquire(program, stacks[1], stacks, frames[1])

    # The third stack is being recorded meanwhile.
    running = program.writers["Spimpack_OME_Zarr"]()
    running.open(program.request(stacks[2], stacks))
    for number in range(3):
        running.write_frame(program.frame(frames[2, number], number, stacks[2], stacks))
    rows = rows_of(study)
    assert [(row["chunk"], row["sample_staining"]) for row in rows] == [
        ("1", "YoPro"), ("2", "YoPro"),
    ]  # fmt: skip
    assert rows[0]["ExcitationWavelengths"] == "488"
    options = Options(manifest=str(study / "manifest.yml"), output_dir=str(study / "out"))
    assert package(options, 1).exit_code == 0
    verdict = run_bids_validator(study / "out")
    assert [each for each in verdict.findings if each.severity == "error"] == []
    with StreamWatch(study / stacks[2]["filename"]) as watch:
        assert watch.settings.num_frames == 6

    running.abort()
    assert finish_stream(study / stacks[2]["filename"]).missing == ((3, 5),)
    assert len(rows_of(study)) == 3
    place = attributes_of(study / stacks[1]["filename"])["multiscales"][0]["datasets"][0]
    changes = [each[each["type"]] for each in place["coordinateTransformations"]]
    assert changes == [[1, 2.0, 0.5, 0.5], [0, 300.0, -50.0, 1000.0]]


def test_i18_mesospim_channels_sides_and_angles_have_entities_of_their_own(plugins, study):
    program = Mesospim(plugins, CONFIG | {"acq": "4x"})
    stacks = AcquisitionList(
        make_stack(study, 0, filename=f"{n}.ome.zarr", laser=laser, shutterconfig=side, rot=angle)
        for n, (laser, side, angle) in enumerate(
            [("488 nm", "Left", 0), ("640 nm", "Left", 0), ("640 nm", "Right", 90)]
        )
    )
    for stack in stacks:
        acquire(program, stack, stacks, make_frames(SHAPE))
    assert [(row["stain"], row["acquisition"]) for row in rows_of(study)] == [
        ("YoPro", "4xLeftrot0"), ("Abeta", "4xLeftrot0"), ("Abeta", "4xRightrot90"),
    ]  # fmt: skip


def test_i18_mesospim_a_file_beside_the_images_names_the_subject(plugins, study):
    (study / "spimpack_stream.yml").write_text('sub: "07"\nses: "2"\n')
    program = Mesospim(plugins, CONFIG)
    stacks = AcquisitionList([make_stack(study, 0)])
    acquire(program, stacks[0], stacks, make_frames(SHAPE))
    (row,) = rows_of(study)
    assert (row["subject"], row["session"]) == ("07", "2")


def test_i18_mesospim_what_cannot_be_written_is_refused_before_the_first_plane(plugins, study):
    program = Mesospim(plugins, CONFIG)
    stacks = AcquisitionList([make_stack(study, 0)])
    acquire(program, stacks[0], stacks, make_frames(SHAPE))
    writer = program.writers["Spimpack_OME_Zarr"]()
    with pytest.raises(OccupiedError, match="exists"):
        writer.open(program.request(stacks[0], stacks))
    other = AcquisitionList([make_stack(study, 0, filename="b.ome.zarr")])
    with pytest.raises(InputError, match="another image already"):
        writer.open(program.request(other[0], other))
    wrong = Mesospim(plugins, CONFIG | {"stain": "a b"})
    with pytest.raises(InputError, match="letters and digits"):
        writer.open(wrong.request(other[0], other))
    assert not (study / "b.ome.zarr.part").exists()


def test_i18_mesospim_without_a_dataset_and_with_planes_that_lack_or_are_turned(plugins, study):
    program = Mesospim(plugins, None)
    stacks = AcquisitionList([make_stack(study, 0, laser="405 nm")])
    frames = make_frames((6, 30, 40))
    writer = program.writers["Spimpack_OME_Zarr"]()
    writer.open(program.request(stacks[0], stacks))
    for number in (0, 1, 4, 5):
        writer.write_frame(program.frame(frames[number], number, stacks[0], stacks))
    writer.finalize(None)
    frames[2:4] = 0
    check_image(study / stacks[0]["filename"], images_of(frames, "zyx")[0])
    assert not (study / "scans.tsv").exists()
    assert sorted(os.listdir(study)) == [stacks[0]["filename"], "manifest.yml"]
    np.testing.assert_array_equal(frames[2], 0)
