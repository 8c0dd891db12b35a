"""Thorlabs RAW files: facts by ThorImage, or by a YAML file; sizes must fit the bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from thorlabs_sources import Raw, write_raw, write_voxels

from spimpack_tasks.api import open_image, probe_image
from spimpack_tasks.cli.main import main
from spimpack_tasks.errors import ExitCode
from spimpack_tasks.volumes.errors import SourceRefusedError

FILES = {
    "o15-stack": (Raw(), (5.0, 0.684, 0.684), None),
    "o15-times": (Raw(t=4, z=2), (5.0, 0.684, 0.684), 1.5),
    "o15-8-bit": (Raw(dtype="uint8", c=1), (5.0, 0.684, 0.684), None),
    "o15-float": (Raw(dtype="float32"), (5.0, 0.684, 0.684), None),
    "o15-plane": (Raw(z=1, c=1), (None, 0.684, 0.684), None),
    "o15-stream": (Raw(t=5, z=1, streams=True), (None, 0.684, 0.684), None),
    "o15-no-size": (Raw(pixel_um="0", step_um=""), (None, None, None), None),
}


@pytest.mark.parametrize(("raw", "spacing", "step"), FILES.values(), ids=FILES)
def test_raw(tmp_path, raw, spacing, step):
    path = write_raw(tmp_path / "Image_0001_0001.raw", raw)
    info = probe_image(path)
    assert info.shape == (raw.t, raw.z, raw.c, raw.y, raw.x)
    assert (info.dtype, info.format) == (raw.dtype, "Thorlabs RAW")
    assert info.spacing_um_zyx == spacing
    assert info.time_step_s == (step if raw.t > 1 else info.time_step_s)
    assert [channel.name for channel in info.channels] == ["ChanA", "ChanB"][: raw.c]
    assert info.files == (str(path), str(tmp_path / "Experiment.xml"))
    with open_image(path) as image:
        assert np.array_equal(image.levels[0][...], raw.voxels())
        assert np.array_equal(image.levels[0][:, -1:, :, 2:4, 3], raw.voxels()[:, -1:, :, 2:4, 3])


def test_o15_hidden_and_other_xml_files_are_passed_over(tmp_path):
    path = write_raw(tmp_path / "a.raw", Raw())
    (tmp_path / "._Experiment.xml").write_bytes(b"\0\5\x16\7")
    (tmp_path / "A_settings.xml").write_text("<Settings><LSM name='x'/></Settings>")
    assert probe_image(path).shape == (1, 3, 2, 6, 8)


@pytest.mark.parametrize("change", [-1, 1, -96, 96], ids=lambda n: f"o16-{n}-bytes")
def test_a_size_that_does_not_fit_is_refused(tmp_path, change):
    path = write_raw(tmp_path / "a.raw", Raw())
    size = 3 * 2 * 6 * 8 * 2
    content = path.read_bytes()
    path.write_bytes(content[:change] if change < 0 else content + bytes(change))
    with pytest.raises(SourceRefusedError, match=rf"has {size + change} bytes, .* have {size}"):
        probe_image(path)
    with pytest.raises(SourceRefusedError, match=f"have {size}"):
        open_image(path)


YAML = "T: 1\nZ: 3\nC: 2\nY: 6\nX: 8\nbits: 16\n"


@pytest.mark.parametrize("name", ["a.yaml", "a.yml", "sizes.yaml"], ids=lambda n: f"o17-{n}")
def test_a_yaml_file_tells_the_sizes(tmp_path, name):
    path = write_voxels(tmp_path / "a.raw", Raw())
    (tmp_path / name).write_text(f"{YAML}PhysicalSizeX: 0.5\nPhysicalSizeZ: 2\nTimeIncrement: 3\n")
    info = probe_image(path)
    assert info.shape == (1, 3, 2, 6, 8)
    assert info.spacing_um_zyx == (2.0, None, 0.5)
    assert info.time_step_s == 3.0
    [decision] = info.decisions
    assert (decision.field, decision.value) == ("metadata", name)
    with open_image(path) as image:
        assert np.array_equal(image.levels[0][...], Raw().voxels())


def test_o17_the_file_with_the_name_of_the_image_wins(tmp_path):
    path = write_voxels(tmp_path / "a.raw", Raw())
    (tmp_path / "a.yaml").write_text(YAML)
    (tmp_path / "b.yaml").write_text(YAML.replace("Z: 3", "Z: 2"))
    assert probe_image(path).shape == (1, 3, 2, 6, 8)


def test_o18_a_broken_xml_beside_a_yaml(tmp_path):
    path = write_raw(tmp_path / "a.raw", Raw())
    (tmp_path / "Experiment.xml").write_text("<ThorImageExperiment><LSM")
    (tmp_path / "a.yaml").write_text(YAML)
    info = probe_image(path)
    assert info.shape == (1, 3, 2, 6, 8)
    assert [decision.value for decision in info.decisions] == ["a.yaml"]


def put(**files: str):
    def spoil(folder: Path) -> None:
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)

    return spoil


def with_experiment(**changes: object):
    return put(Experiment__xml=Raw(**changes).experiment())  # type: ignore[arg-type]


REFUSED = {
    "o17-no-facts": (put(), "has no Experiment.xml of ThorImage beside it"),
    "o17-two-files": (put(b__yaml=YAML, c__yml=YAML), "several files with facts: b.yaml, c.yml"),
    "o17-two-of-its-name": (put(a__yaml=YAML, a__yml=YAML), "several files with facts: a.yaml"),
    "o17-missing-keys": (put(a__yaml="T: 1\nX: 8\n"), "'a.yaml' without Z, C, Y, bits"),
    "o17-text": (put(a__yaml=YAML.replace("Z: 3", "Z: three")), "'three' for Z in 'a.yaml'"),
    "o17-negative": (put(a__yaml=YAML.replace("Z: 3", "Z: -3")), "'-3' for Z in 'a.yaml'"),
    "o17-fraction": (put(a__yaml=YAML.replace("Z: 3", "Z: 3.5")), "'3.5' for Z in 'a.yaml'"),
    "o17-bits": (put(a__yaml=YAML.replace("bits: 16", "bits: 24")), "has pixels of 24 bits"),
    "o17-a-list": (put(a__yaml="- 1\n- 2\n"), "must hold keys and values"),
    "o17-no-yaml": (put(a__yaml="T: [1\n"), "cannot be read"),
    "o18-broken-xml-alone": (put(Experiment__xml="<ThorImage"), "'Experiment.xml' has metadata"),
    "o15-two-xml-files": (
        put(Experiment__xml=Raw().experiment(), Experiment2__xml=Raw().experiment()),
        "several files with facts: Experiment.xml, Experiment2.xml",
    ),
    "o15-no-times": (
        put(Experiment__xml=Raw().experiment().replace('timepoints="1"', 'timepoints=""')),
        "'timepoints' of Timelapse in 'Experiment.xml'",
    ),
    "o15-fast-stage": (with_experiment(streams=True, flies=True), "flyback planes"),
    "o15-document-type": (
        put(Experiment__xml='<!DOCTYPE a [<!ENTITY b "c">]><a><LSM pixelX="8"/></a>'),
        "document type",
    ),
}


@pytest.mark.parametrize(("spoil", "told"), REFUSED.values(), ids=REFUSED)
def test_facts_that_are_refused(tmp_path, spoil, told):
    path = write_voxels(tmp_path / "a.raw", Raw())
    spoil(tmp_path)
    with pytest.raises(SourceRefusedError, match=told) as refused:
        probe_image(path)
    assert str(path) in str(refused.value)


def test_o17_a_template_is_written_filled_in_and_never_replaced(tmp_path, capsys):
    raw = Raw()
    path = write_voxels(tmp_path / "a.raw", raw)
    assert main(["init", "--facts", str(path)]) == ExitCode.OK
    template = tmp_path / "a.yaml"
    assert f"wrote {template}" in capsys.readouterr().out
    assert main(["info", str(path)]) == ExitCode.BAD_INPUT
    sizes = {"T": raw.t, "Z": raw.z, "C": raw.c, "Y": raw.y, "X": raw.x}
    text = template.read_text()
    assert str(path.stat().st_size) in text
    for key, size in sizes.items():
        text = text.replace(f"{key}:\n", f"{key}: {size}\n")
    template.write_text(text)
    assert probe_image(path).shape == (raw.t, raw.z, raw.c, raw.y, raw.x)
    assert main(["init", "--facts", str(path)]) == ExitCode.CONFLICT
    assert "a.yaml: is there already" in capsys.readouterr().err
    assert template.read_text() == text


@pytest.mark.parametrize(("name", "said"), [("a.tif", "is no RAW file"), ("b.raw", "No such file")])
def test_o17_no_template_of_other_files(tmp_path, capsys, name, said):
    (tmp_path / "a.tif").write_bytes(b"")
    assert main(["init", "--facts", str(tmp_path / name)]) == ExitCode.BAD_INPUT
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
