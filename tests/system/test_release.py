"""The version of a build: that of the last tag, and the same without git."""

import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
import yaml
from markdown_blocks import ROOT

FIND = "from hatch_version import find_release; print(find_release())"


def git(folder, *arguments):
    """Run git in a folder, as nobody in particular."""
    person = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *person, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder):
    git(folder, "commit", "--quiet", "--allow-empty", "--message=Work")


def cite(folder, version):
    """Place what finds the version, and a version to be cited."""
    folder.mkdir(exist_ok=True)
    shutil.copy(ROOT / "hatch_version.py", folder)
    (folder / "CITATION.cff").write_text(f"cff-version: 1.2.0\nversion: {version}\n")
    return folder


def checkout(folder, version, *steps):
    """Make a checkout: `.` is a commit, any other step a tag."""
    cite(folder, version)
    git(folder, "init", "--quiet")
    for step in steps:
        commit(folder) if step == "." else git(folder, "tag", step)
    return folder


def find(folder):
    return subprocess.run(
        [sys.executable, "-c", FIND], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("cited", "steps", "expected"),
    [
        pytest.param("0.3.0", [".", "v0.3.0"], "0.3.0", id="i15-9-a-release"),
        pytest.param("0.3.0", [".", "v0.3.0", ".", "."], "0.3.0", id="i15-9-two-commits-later"),
        pytest.param("0.3.0", ["."], "0.3.0", id="i15-9-no-tag"),
        pytest.param("0.3.0", [], "0.3.0", id="i15-9-no-commit"),
        pytest.param("0.4.0", [".", "v0.3.0", "."], "0.3.0", id="i15-9-about-to-release"),
        pytest.param("0.3.0", [".", "nightly", "v2-old"], "0.3.0", id="i15-9-other-tags"),
        pytest.param("0.4.0rc1", [".", "v0.4.0rc1", "."], "0.4.0rc1", id="i15-9-a-candidate"),
    ],
)
def test_the_version_is_that_of_the_last_release(cited, steps, expected, tmp_path):
    done = find(checkout(tmp_path, cited, *steps))
    assert done.stdout == f"{expected}\n", done.stderr


def test_i15_9_an_archive_has_the_version_that_is_cited(tmp_path):
    """In a checkout of something else, too, whose tags are not ours."""
    checkout(tmp_path, "9.0.0", ".", "v9.0.0")
    assert find(cite(tmp_path / "unpacked", "0.3.0")).stdout == "0.3.0\n"


def test_i15_9_a_tag_that_is_not_cited_is_refused(tmp_path):
    done = find(checkout(tmp_path, "0.3.0", ".", "v0.4.0"))
    assert done.returncode != 0
    assert "tagged v0.4.0, but CITATION.cff has version 0.3.0" in done.stderr


def build(folder, target, kind):
    """Build a distribution without a network, and return its file."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = target.iterdir()
    return path


def version_in(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.read("spimpack_tasks/VERSION").decode()


@pytest.mark.slow
def test_i15_9_a_wheel_of_a_checkout_and_one_of_an_sdist_have_the_version_of_the_tag(tmp_path):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", ROOT, clone)
    git(clone, "tag", "v7.7.7", "HEAD~1")
    wheel = build(clone, tmp_path / "wheel", "wheel")
    assert wheel.name.startswith("spimpack_tasks-7.7.7-")
    assert version_in(wheel) == "7.7.7\n"
    sdist = build(clone, tmp_path / "sdist", "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert version_in(build(unpacked, tmp_path / "again", "wheel")) == "7.7.7\n"


@pytest.mark.slow
def test_i15_9_a_checkout_that_was_never_built_has_the_version_that_is_cited(tmp_path):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", ROOT, clone)
    (clone / "CITATION.cff").write_text("version: 7.7.7\n")
    ask = [sys.executable, "-c", "from spimpack_tasks.version import __version__ as v; print(v)"]
    done = subprocess.run(ask, cwd=clone, capture_output=True, text=True, check=True)
    assert done.stdout == "7.7.7\n"


@pytest.mark.slow
def test_i15_9_the_citation_is_valid(tmp_path):
    """By cffconvert, which has the official schema and wants an older jsonschema than we do."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    programs = tmp_path / "venv" / "bin"
    subprocess.run([programs / "pip", "install", "--quiet", "cffconvert==2.0.0"], check=True)
    broken = tmp_path / "broken.cff"
    broken.write_text((ROOT / "CITATION.cff").read_text().replace("\ntitle:", "\ntitel:"))
    for path, expected in ((ROOT / "CITATION.cff", 0), (broken, 1)):
        ask = [programs / "cffconvert", "--validate", "--infile", path]
        assert subprocess.run(ask, capture_output=True, check=False).returncode == expected


def test_i15_9_the_readme_cites_what_the_citation_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").replace("> ", "").split())
    assert f"{citation['authors'][0]['name']}. *{citation['title']}.*" in text
    assert f"{citation['license']} licence" in text
