"""The example inputs, the settings for Luigi and the workflows do what they are for."""

import configparser
import re
import subprocess

import luigi.interface
import luigi.retcodes
import luigi.rpc
import luigi.scheduler
import luigi.worker
import pytest
from cluster import CONFIG, Cluster
from example_inputs import EXAMPLE, place_example, place_tree, read_rows
from markdown_blocks import ROOT, environment_of_tests
from study_files import write_study

from spimpack_tasks import PackageDataset
from spimpack_tasks.luigi_run import CODES
from spimpack_tasks.packaging.backends.registry import BACKENDS
from spimpack_tasks.validation.bids_validator import run_bids_validator

WORKFLOWS = ROOT / "workflows"
SECTIONS = {
    "core": luigi.interface.core,
    "worker": luigi.worker.worker,
    "scheduler": luigi.scheduler.scheduler,
    "retcode": luigi.retcodes.retcode,
}
READ_WITHOUT_PARAMETER = {"rpc-retry-attempts", "rpc-retry-wait"}


@pytest.fixture
def example(tmp_path):
    """A folder with the example manifest and its images."""
    folder = tmp_path / "my study"
    folder.mkdir()
    place_example(folder)
    return folder


def run(command, folder, *, check=True, **environment):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment_of_tests() | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def package_dataset(manifest="manifest.yml"):
    command = "luigi --module spimpack_tasks PackageDataset --output-dir bids --local-scheduler"
    return [*command.split(), "--manifest", manifest]


def images_in(dataset):
    return sorted(path.name for path in dataset.glob("sub-*/ses-*/micr/*.ome.zarr"))


def test_a02_the_example_becomes_a_dataset_without_a_warning(example):
    done = run(["spimpack", "validate", "--manifest", "manifest.yml", "--strict"], example)
    assert done.stdout == "5 images: 0 errors\n"
    run(["spimpack", "package", "--manifest", "manifest.yml", "--output-dir", "bids"], example)
    assert len(images_in(example / "bids")) == len(read_rows(EXAMPLE / "scans.tsv")) == 5
    assert run_bids_validator(example / "bids").findings == ()


def read_config(text):
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


def test_luigi_knows_every_setting():
    text = CONFIG.read_text(encoding="utf-8")
    everything = read_config(re.sub(r"^#(?=[\[a-z])", "", text, flags=re.MULTILINE))
    assert everything["retcode"] == {k: str(int(v)) for k, v in CODES.items()}
    for section, options in everything.items():
        if section == "task_history":
            assert set(options) == {"db_connection"}
            continue
        if section == "resources":
            assert all(BACKENDS[name].is_slow for name in options)
            continue
        parameters = dict(SECTIONS[section].get_params())
        for option, value in options.items():
            if option not in READ_WITHOUT_PARAMETER:
                parameters[option].parse(value)


def test_the_settings_keep_our_exit_codes_and_bring_no_warning(example):
    environment = {"LUIGI_CONFIG_PATH": str(CONFIG)}
    done = run(package_dataset(), example, **environment)
    assert "Warning" not in done.stderr
    assert run(package_dataset("no.yml"), example, check=False, **environment).returncode == 2


def test_an_exit_code_of_the_user_stands(example):
    config = example / "mine.cfg"
    config.write_text("[retcode]\ntask_failed = 42\n")
    environment = {"LUIGI_CONFIG_PATH": str(config)}
    assert run(package_dataset("no.yml"), example, check=False, **environment).returncode == 42


@pytest.mark.parametrize("workers", ["2", pytest.param("1", marks=pytest.mark.slow)])
def test_local_workflow(example, workers):
    command = [WORKFLOWS / "local.sh", "manifest.yml", "bids", workers, "--relative-symlinks"]
    assert "\nPackaged bids: 5 new\n" in run(command, example).stdout
    assert "\nNothing to do: 5 unchanged in bids\n" in run(command, example).stdout
    links = [path.readlink() for path in (example / "bids").glob("sub-*/ses-*/micr/*.ome.zarr")]
    assert len(links) == 5
    assert not any(link.is_absolute() for link in links)


def test_local_workflow_stops_at_bad_input(example):
    table = example / "scans.tsv"
    table.write_text(table.read_text().replace("RPI", "RRR"))
    done = run([WORKFLOWS / "local.sh", "manifest.yml", "bids"], example, check=False)
    assert done.returncode == 2
    assert not (example / "bids").exists()


@pytest.mark.slow
def test_scan_workflow_waits_until_the_gaps_are_filled(tmp_path):
    place_tree(tmp_path, ["1/4x.ome.zarr", "2/4x.ome.zarr"])
    pattern = "{subject}/{acquisition}.ome.zarr"
    command = [WORKFLOWS / "scan.sh", "microscope", "study", "bids", "--pattern", pattern]
    settings = ["--set", "sample=brain", "--set", "orientation_string_xyz=RPI"]
    assert run([*command, *settings], tmp_path, check=False).returncode == 2
    assert not (tmp_path / "bids").exists()
    manifest = tmp_path / "study" / "manifest.yml"
    text = manifest.read_text().replace('Name: ""', "Name: Two mice")
    manifest.write_text(text.replace('License: ""', "License: CC0"))
    assert "\nPackaged bids: 2 new\n" in run([*command, *settings], tmp_path).stdout
    assert "\nNothing to do: 2 unchanged in bids\n" in run([*command, *settings], tmp_path).stdout


def test_luigid_workflow_stops_at_bad_input(example):
    (example / "scans.tsv").write_text("subject\n01\n")
    done = run([WORKFLOWS / "luigid.sh", "manifest.yml", "bids"], example, check=False)
    assert done.returncode == 2
    assert "luigid" not in done.stdout


@pytest.mark.slow
def test_an_assistant_does_tasks_that_it_knows_by_their_parameters_only(example, tmp_path):
    with Cluster(tmp_path / "luigid", {"LUIGI_CONFIG_PATH": str(CONFIG)}) as cluster:
        let_an_assistant_work(example, f"http://127.0.0.1:{cluster.port}")


def let_an_assistant_work(example, luigid):
    worker = luigi.worker.Worker(luigi.rpc.RemoteScheduler(luigid))
    manifest = str(example / "manifest.yml")
    task = PackageDataset(manifest=manifest, output_dir=str(example / "bids"), backend="copy")
    assert worker.add(task)
    command = "luigi --module spimpack_tasks BuildPaths --output-dir other --assistant --no-lock"
    arguments = ["--manifest", "manifest.yml", "--scheduler-url", luigid]
    run([*command.split(), *arguments], example, check=False)
    assert task.complete()
    assert len(images_in(example / "bids")) == 5


@pytest.mark.slow
def test_i22_5_the_command_line_of_a_bids_app_packages_subjects_then_all(example):
    script = WORKFLOWS / "bids-app.sh"
    subjects = sorted({row["subject"] for row in read_rows(EXAMPLE / "scans.tsv")})
    first, *others = subjects
    assert others
    labels = ["--participant_label", f"sub-{first}", "--n_cpus", "2"]
    run([script, ".", "bids", "participant", *labels, "--relative-symlinks"], example)
    assert sorted(path.name for path in (example / "bids").glob("sub-*")) == [f"sub-{first}"]
    done = run([script, ".", "bids", "group", "--relative-symlinks"], example)
    found = sorted(path.name for path in (example / "bids").glob("sub-*"))
    assert found == [f"sub-{label}" for label in subjects]
    assert "bids: valid BIDS" in done.stdout


def test_i22_5_a_bids_app_says_what_is_wrong_with_its_command_line(example):
    script = WORKFLOWS / "bids-app.sh"
    done = run([script, ".", "bids", "session"], example, check=False)
    assert (done.returncode, "choose participant or group" in done.stderr) == (2, True)
    done = run([script, "."], example, check=False)
    assert done.returncode != 0
    assert "usage: bids-app.sh" in done.stderr
    assert not (example / "bids").exists()


@pytest.mark.slow
def test_i22_5_a_bids_app_runs_a_study(tmp_path):
    write_study(tmp_path)
    run([WORKFLOWS / "bids-app.sh", ".", "unused", "group", "--study", "study.yml"], tmp_path)
    assert (tmp_path / "study.html").exists()
