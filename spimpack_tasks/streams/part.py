"""The folder beside an image in which a stream is written, until the image is whole.

It holds the settings, the journal, metadata of frames, planes that wait, and the image.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from spimpack_tasks.errors import InputError, OccupiedError
from spimpack_tasks.files.atomic import (
    PART,
    discard,
    move_into_place,
    move_to_free,
    sync_disk,
    write_at,
)
from spimpack_tasks.streams.errors import StreamClosedError
from spimpack_tasks.streams.frame_log import FRAMES
from spimpack_tasks.streams.reading import read_settings
from spimpack_tasks.streams.replaceable import refuse_foreign, refuse_frames

if TYPE_CHECKING:
    from spimpack_tasks.streams.settings import AcquisitionSettings

_SETTINGS = "settings.json"


class Part:
    """The folder of a stream.

    Parameters
    ----------
    root_path
        Path of the finished image.
    """

    def __init__(self, root_path: str | os.PathLike[str]) -> None:
        self.final = os.path.abspath(os.fspath(root_path)).removesuffix(PART)
        self.path = self.final + PART
        self.image = f"{self.path}/image"
        """Folder of what becomes the image."""
        self.journal = f"{self.path}/journal.jsonl"
        self.frames = f"{self.path}/{FRAMES}"
        self.spool = f"{self.path}/spool"

    def create(self, settings: AcquisitionSettings) -> None:
        """Make the folder.

        Raises
        ------
        OccupiedError
            There is an image, or an unfinished stream, which must not be replaced.
        OSError
            The disk does not take it.
        """
        if os.path.lexists(self.final):
            if not settings.overwrite:
                message = f"{self.final} exists; choose another path, or overwrite it"
                raise OccupiedError(message)
            refuse_foreign(self.final)
        if os.path.lexists(self.path):
            if not settings.overwrite:
                message = (
                    f"{self.path} is an unfinished stream; keep its frames with: "
                    f"spimpack stream finish {self.final}"
                )
                raise OccupiedError(message)
            refuse_frames(self.path, self.final)
            discard(self.path)
        os.makedirs(self.image)
        text = json.dumps(settings.as_data(), indent=2, ensure_ascii=False)
        write_at(f"{self.path}/{_SETTINGS}", f"{text}\n".encode())

    def discard_empty(self) -> None:
        """Delete a folder that was made a moment before its process died, without any frame."""
        names = {_SETTINGS, "image"}
        is_new = os.path.isdir(self.path) and {*os.listdir(self.path)} <= names
        if is_new and not (os.path.isdir(self.image) and os.listdir(self.image)):
            self.discard()

    def settings(self) -> AcquisitionSettings:
        """Return the settings of an unfinished stream.

        Raises
        ------
        StreamClosedError
            There is none.
        InputError
            Its settings are damaged.
        """
        settings = f"{self.path}/{_SETTINGS}"
        try:
            return read_settings(settings)
        except InputError as error:
            if os.path.lexists(settings):
                raise
            done = "is there already" if os.path.exists(self.final) else "does not exist"
            message = f"there is no unfinished stream at {self.path}, and {self.final} {done}"
            raise StreamClosedError(message) from error

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""
        sync_disk(self.path)

    def require_free(self, *, may_replace: bool) -> None:
        """Refuse to finish while something lies at the final path that is not replaced.

        Raises
        ------
        OccupiedError
            Another program made it meanwhile. The frames stay.
        """
        if not os.path.lexists(self.final):
            return
        if not may_replace:
            raise OccupiedError(self._occupied(self.final))
        refuse_foreign(self.final)

    def _occupied(self, path: str) -> str:
        return (
            f"{path} was made by another program meanwhile; the frames are kept in {self.path}: "
            f"move {path} away, and then: spimpack stream finish {self.final}"
        )

    def publish(self, inner: str, *, may_replace: bool) -> None:
        """Move what is finished to its final path.

        Parameters
        ----------
        inner
            Path of the file or folder that becomes the image.
        may_replace
            Whether it may take the place of another image.

        Raises
        ------
        OccupiedError
            Something lies there that is not replaced. The frames stay.
        """
        self.sync()
        folder, name = os.path.split(self.final)
        self.require_free(may_replace=may_replace)
        if may_replace:
            move_into_place(folder, inner, name)
        else:
            try:
                move_to_free(inner, self.final)
            except FileExistsError as error:
                raise OccupiedError(self._occupied(self.final)) from error
        sync_disk(folder)

    def keep_beside(self, path: str, lines: bytes, *, may_replace: bool) -> None:
        """Write metadata of frames beside an image.

        An attempt that was killed may have left lines of the same log there.

        Raises
        ------
        OccupiedError
            Another file lies there. The frames stay.
        """
        if os.path.lexists(path) and not may_replace:
            with open(path, "rb") as file, open(self.frames, "rb") as log:
                before = file.read()
                is_ours = {*before.splitlines()} <= {*log.read().splitlines()}
            if not before or not is_ours:
                raise OccupiedError(self._occupied(path))
        write_at(path, lines)

    def holds_no_image(self) -> bool:
        """Tell whether there is the folder, and its image was moved, or has no file yet."""
        is_empty = not os.path.isdir(self.image) or not os.listdir(self.image)
        return os.path.isdir(self.path) and is_empty and os.path.exists(self.final)

    def discard(self) -> None:
        """Delete the folder."""
        with suppress(FileNotFoundError):
            discard(self.path)
