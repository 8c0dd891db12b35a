"""Proves that the sources of a dataset are in it, and looks later whether that still holds.

Each image is compared with its source by the libraries that other programs read them with, voxel by
voxel and at all levels (`volumes.compare`). Then the digests of the image, of its voxels and of its
sources are noted. Nothing is ever deleted.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from spimpack_tasks.errors import count_of
from spimpack_tasks.files.digests import DigestLog
from spimpack_tasks.files.file_traces import trace_files
from spimpack_tasks.files.stamps import stamp_text
from spimpack_tasks.files.store_files import is_elsewhere
from spimpack_tasks.state.receipts import sources_of
from spimpack_tasks.verification.certificate import (
    Certificate,
    CertificateError,
    CertifiedImage,
    CertifiedSource,
    library_versions,
    read_certificate,
)
from spimpack_tasks.verification.further_content import tell_further
from spimpack_tasks.verification.pixels import EqualImages, compare_image, find_images, trace_image
from spimpack_tasks.verification.verify import Deviation, Fault
from spimpack_tasks.version import __version__
from spimpack_tasks.volumes.errors import HeaderError
from spimpack_tasks.volumes.merged.form import find_format
from spimpack_tasks.volumes.ome_zarr.provenance import read_provenance
from spimpack_tasks.volumes.read_header import read_header
from spimpack_tasks.volumes.source_errors import as_os_errors
from spimpack_tasks.volumes.volume import open_volume
from spimpack_tasks.volumes.voxel_digest import digest_voxels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spimpack_tasks.files.file_traces import FileTrace
    from spimpack_tasks.model.plan import Output
    from spimpack_tasks.state.store import Store

    Advance = Callable[[int], None]

IMAGES_LOG, SOURCES_LOG, EQUAL_LOG = "certify-images", "certify-sources", "certify-equal"
"""Files in `.spimpack` that let an interrupted run go on."""
_LINKED = "it is its source, or a copy of it, and not converted: the original may be the only copy"
_UNPROVEN = "is not proven"
_AWAY = "its voxels are in an object store and were not read"


class Found(NamedTuple):
    """The certificate, and the deviations behind it."""

    certificate: Certificate
    deviations: list[Deviation]
    """Differences between images and their sources."""


def certify(store: Store, advance: Advance) -> Found:
    """Compare all images with their sources, and compose a certificate.

    Parameters
    ----------
    store
        The state directory of the dataset.
    advance
        Told the number of bytes of voxels or files after each piece.
    """
    earlier = _find_earlier(store)
    proven: dict[str, CertifiedImage] = {}
    unproven: dict[str, str] = {}
    deviations: list[Deviation] = []
    outputs: dict[str, list[Output]] = defaultdict(list)
    traces: dict[str, FileTrace] = {}
    equal = EqualImages(store.path(EQUAL_LOG))
    with DigestLog(store.path(IMAGES_LOG), advance) as log:
        for output, is_converted in find_images(store):
            for source, _ in sources_of(output):
                outputs[source].append(output)
                if source not in traces:  # several images may be of one source
                    traces[source] = trace_files(source)
            why = _why_not_compared(store, output, is_converted=is_converted)
            if why:
                unproven[output.path] = why
                continue
            found, faults = _prove(store, output, earlier.images.get(output.path), equal, log)
            if found is not None:
                proven[output.path] = found
            else:
                deviations += faults
                told = [str(faults[0].fault), faults[0].detail]
                unproven[output.path] = ": ".join(filter(None, told))
        log.forget()
    sources = _judge_sources(store, outputs, proven, earlier, advance)
    for path in filter(sources.__contains__, traces):
        # Its digest may be of other voxels than those that were compared.
        if trace_files(path).shows_change_since(traces[path]):
            sources[path] = replace(sources[path], unsafe="it changed while it was certified")
    equal.forget()
    kept = {path: earlier.images[path] for path in unproven if _is_last_proof(earlier, path)}
    images = dict(sorted((proven | kept).items()))
    made = Certificate(_now(), __version__, library_versions(), images, sources, unproven)
    faults_by_path: dict[str, list[str]] = defaultdict(list)
    for each in deviations:
        faults_by_path[each.path].append(": ".join(filter(None, [str(each.fault), each.detail])))
    return Found(replace(made, faults=dict(faults_by_path)), deviations)


def _is_last_proof(earlier: Certificate, path: str) -> bool:
    """Tell whether an image cannot be proven again, so that what is known of it must not be lost.

    It is damaged or gone, and an original is out of reach. When its bytes are back, they are
    recognised.
    """
    known = earlier.images.get(path)
    return known is not None and not all(map(os.path.lexists, known.sources))


def _find_earlier(store: Store) -> Certificate:
    """Return the certificate that is there, an empty one if it is none."""
    try:
        return read_certificate(store)
    except (CertificateError, OSError):
        return Certificate("", "", {})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _why_not_compared(store: Store, output: Output, *, is_converted: bool) -> str:
    """Return why there is nothing to compare an image with, empty if there is."""
    if not is_converted:
        return _LINKED
    return _AWAY if is_elsewhere(f"{store.output_dir}/{output.path}") else ""


def _prove(
    store: Store,
    output: Output,
    earlier: CertifiedImage | None,
    equal: EqualImages,
    log: DigestLog,
) -> tuple[CertifiedImage | None, list[Deviation]]:
    """Return the digests of an image that is equal to its source, or why there are none.

    A proof from when the source was there holds as long as the image is the same.
    """
    path = f"{store.output_dir}/{output.path}"
    if not os.path.lexists(path):
        return None, [Deviation(output.path, Fault.MISSING)]
    faults = [*compare_image(store.output_dir, output, equal, log.on_read)]
    is_gone = bool(faults) and all(each.fault is Fault.SOURCE_GONE for each in faults)
    if faults and not (is_gone and earlier):
        return None, faults
    measured = _measure(path, output, log)
    if isinstance(measured, Deviation):
        return None, [measured]
    if not faults:
        sources = tuple(source for source, _ in sources_of(output))
        return replace(measured, sources=sources, compared=_now()), []
    if earlier and earlier.is_same(measured):
        return earlier, []
    return None, [Deviation(output.path, Fault.CHECKSUM, "since it was certified"), *faults]


def _measure(path: str, output: Output, log: DigestLog) -> CertifiedImage | Deviation:
    """Return the digests of an image that does not change meanwhile, or why there are none."""
    try:
        before = trace_image(output, path)
        measured = measure_image(path, output.path, log)
        is_same = trace_image(output, path) == before
    except OSError as error:
        return Deviation(output.path, Fault.UNREADABLE, error.strerror or str(error))
    changed = [s for s, stamp in sources_of(output) if stamp_text(s) not in {"", stamp}]
    if changed:
        return Deviation(output.path, Fault.SOURCE_CHANGED, changed[0])
    return measured if is_same else Deviation(output.path, Fault.ALTERED, "it changed meanwhile")


def measure_image(path: str, name: str, log: DigestLog) -> CertifiedImage:
    """Return form and digests of an image, whose sources are left open.

    Raises
    ------
    OSError
        It cannot be read, or is damaged.
    """
    with as_os_errors(), open_volume(path, accept_unclear=True) as volume:
        level = volume.levels[0]
        voxels = digest_voxels(level, log.on_read)
        form = tuple(level.shape), level.dtype.newbyteorder("=").name, len(volume.levels)
    checksum = log.checksum(path, name)
    return CertifiedImage(*form, voxels, checksum.sha256, checksum.size)


def _judge_sources(
    store: Store,
    outputs: dict[str, list[Output]],
    proven: dict[str, CertifiedImage],
    earlier: Certificate,
    advance: Advance,
) -> dict[str, CertifiedSource]:
    """Return the digest of each source, and why it must be kept."""
    sources = {}
    with DigestLog(store.path(SOURCES_LOG), advance) as log:
        for path in sorted(outputs, key=os.fsencode):
            if not os.path.lexists(path) and path in earlier.sources:
                known = earlier.sources[path]
                others = [r for r in known.unsafe.split("; ") if r and not r.endswith(_UNPROVEN)]
                lost = [f"{o.path} {_UNPROVEN}" for o in outputs[path] if o.path not in proven]
                sources[path] = replace(known, unsafe="; ".join([*others, *lost]))
                continue
            why = "; ".join(dict.fromkeys(_reasons_to_keep(store, path, outputs[path], proven)))
            try:
                checksum = log.checksum(path, path)
            except OSError as error:
                sources[path] = CertifiedSource("", 0, error.strerror or str(error))
            else:
                sources[path] = CertifiedSource(checksum.sha256, checksum.size, why)
        log.forget()
    return sources


def _reasons_to_keep(
    store: Store, source: str, outputs: Iterable[Output], proven: dict[str, CertifiedImage]
) -> Iterator[str]:
    """Yield why a source that images were made of must be kept."""
    made: set[int] = set()
    count = 1
    for output in outputs:
        if output.path not in proven:
            yield f"{output.path} {_UNPROVEN}"
            continue
        try:
            header = read_header(output.source, find_format(output.format), output.selection)
        except (HeaderError, OSError) as error:
            yield f"its header cannot be read: {error}"
            continue
        count = max(count, len(header.scenes))
        made.add(header.scene)
        try:
            further = tell_further(source, output)
        except (HeaderError, OSError) as error:
            yield f"what else it holds cannot be read: {error}"
            continue
        path = f"{store.output_dir}/{output.path}"
        lost = [further, *header.left_out, *([] if os.path.isdir(path) else header.extras)]
        lost += [read_provenance(path).get("left_out", "")]
        if _is_original_dropped(output):
            lost.append("its metadata as texts")
        yield from (f"it holds more than was converted: {each}" for each in lost if each)
    if len(made) < count:
        yield f"it holds {count_of(count, 'image')}, of which {len(made)} were converted"


def _is_original_dropped(output: Output) -> bool:
    """Tell whether the metadata of a source were left out by the user's choice."""
    try:
        return bool(json.loads(output.target).get("original") == "drop")
    except (ValueError, AttributeError):  # of a backend of another package
        return False


def check(store: Store, advance: Advance) -> Iterator[Deviation]:
    """Yield how a dataset differs from its certificate; the sources need not be there.

    Parameters
    ----------
    store
        The state directory of the dataset.
    advance
        Told the number of bytes of voxels or files after each piece.

    Raises
    ------
    CertificateError
        There is no certificate, or it was changed.
    """
    certificate = read_certificate(store)
    for path, certified in sorted(certificate.images.items()):
        yield from _check_image(store, path, certified, advance)
    log = DigestLog(None, advance)
    for path, source in sorted(certificate.sources.items()):
        if source.sha256 and os.path.lexists(path):
            try:
                is_same = log.checksum(path, path).sha256 == source.sha256
            except OSError as error:
                yield Deviation(path, Fault.UNREADABLE, error.strerror or str(error))
            else:
                if not is_same:
                    yield Deviation(path, Fault.SOURCE_CHANGED, "since it was certified")


def _check_image(
    store: Store, path: str, certified: CertifiedImage, advance: Advance
) -> Iterator[Deviation]:
    absolute = f"{store.output_dir}/{path}"
    if not os.path.lexists(absolute):
        yield Deviation(path, Fault.MISSING)
        return
    try:
        found = measure_image(absolute, path, DigestLog(None, advance))
    except OSError as error:
        yield Deviation(path, Fault.UNREADABLE, error.strerror or str(error))
        return
    if found.voxels_sha256 != certified.voxels_sha256:
        yield Deviation(path, Fault.PIXELS, "since it was certified")
    elif not certified.is_same(found):
        yield Deviation(path, Fault.CHECKSUM, "since it was certified")


def uncertified(store: Store, certificate: Certificate) -> list[str]:
    """Return the images of a dataset that its certificate does not know of."""
    known = certificate.images.keys() | certificate.unproven.keys()
    return [output.path for output, _ in find_images(store) if output.path not in known]
