"""Reading DCIMG files in a process of its own, whose memory tells what the reader holds."""

from __future__ import annotations

import subprocess
import sys

from dcimg_files import compose_frames, write_dcimg

_PEAK = """
import sys
from spimpack_tasks.volumes.volume import open_volume
with open_volume(sys.argv[1]) as volume:
    level = volume.levels[0]
    t, c, z, y, x = level.shape
    for plane in range(0, z, 8):
        level.read((slice(0, 1), slice(0, 1), slice(plane, plane + 8), slice(0, y), slice(0, x)))
text = open("/proc/self/status").read()
print(int(text.partition("VmHWM:")[2].split()[0]) // 1024)
"""


def test_i19_08_pages_of_the_file_are_not_mapped(tmp_path):
    """A map of the file would count as memory of the process: 256 MiB here."""
    frame = compose_frames(1, 512, 1024)[0]
    path = write_dcimg(tmp_path / "a.dcimg", (frame for _ in range(256)))
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 160
