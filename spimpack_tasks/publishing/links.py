"""Addresses that open published images in viewers and validators of others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spimpack_tasks.remote.location import Location

_ROOTS = ("zarr.json", ".zattrs")
_HOSTS = {"gs": "https://storage.googleapis.com"}


class Link(NamedTuple):
    """One address of an image."""

    viewer: str
    url: str


def public_address(location: Location, region: str = "") -> str:
    """Return the address at which anybody can read what is public, without a slash at its end.

    Parameters
    ----------
    location
        Of the dataset.
    region
        Of the bucket, for Amazon S3.
    """
    path = quote(location.key("").rstrip("/"))
    if location.endpoint_url:
        base = f"{location.endpoint_url}/{location.bucket}"
    elif location.scheme == "s3":
        host = f"s3.{region}" if region else "s3"
        base = f"https://{location.bucket}.{host}.amazonaws.com"
        if "." in location.bucket:  # certificates do not cover such names
            base = f"https://{host}.amazonaws.com/{location.bucket}"
    else:
        base = f"{_HOSTS.get(location.scheme, '')}/{location.bucket}"
    return f"{base}/{path}".rstrip("/")


def images_in(names: Iterable[str]) -> list[str]:
    """Return the images that can be opened by their address: roots of OME-Zarr."""
    found = set()
    for name in names:
        folder, _, last = name.rpartition("/")
        if last in _ROOTS and folder.endswith(".ome.zarr"):
            found.add(folder)
    return sorted(found)


def links_of(address: str, image: str) -> list[Link]:
    """Return the links to an image.

    Parameters
    ----------
    address
        Of the dataset, from `public_address`.
    image
        Its path in the dataset.
    """
    url = f"{address}/{quote(image)}"
    layer = {"type": "image", "source": f"zarr://{url}", "name": image.rpartition("/")[2]}
    state = json.dumps({"layers": [layer]}, separators=(",", ":"))
    return [
        Link("Neuroglancer", f"https://neuroglancer-demo.appspot.com/#!{quote(state, safe='')}"),
        Link(
            "OME-NGFF validator",
            f"https://ome.github.io/ome-ngff-validator/?source={quote(url, safe=':/')}",
        ),
        Link("vizarr", f"https://hms-dbmi.github.io/vizarr/?source={quote(url, safe=':/')}"),
    ]
