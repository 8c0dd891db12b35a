"""The tasks that write: one for each step, and for each unit of assets."""

from __future__ import annotations

from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import luigi

from spimpack_tasks.errors import OutputError
from spimpack_tasks.luigi_setup import disk_trouble_told, progress_of
from spimpack_tasks.model.plan import BUCKETS, SLOW_BUCKETS, Step, bucket_of
from spimpack_tasks.packaging.tasks.planning import BuildPaths, DatasetTask
from spimpack_tasks.registry import load_backend, split_settings
from spimpack_tasks.state.publish import ImageMaker, publish
from spimpack_tasks.state.store import DATASET_PART
from spimpack_tasks.targets import OutputsOnDisk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from spimpack_tasks.model.plan import Asset, Output
    from spimpack_tasks.progress import Progress


class WriteOutputs(DatasetTask):
    """Bring one step's outputs about; what is right already is not touched."""

    step: ClassVar[Step]

    def requires(self) -> list[luigi.Task]:
        return self.refusal() or [self.clone(BuildPaths)]

    def output(self) -> luigi.Target:
        return OutputsOnDisk(self.store, self.planned_outputs, self.matches_plan)

    def planned_outputs(self) -> list[Output] | None:
        """Return the outputs that this task brings about, `None` while there is no such plan."""
        draft = self.draft
        return self.outputs() if draft.is_planned and draft.plan_id == self.plan_id else None

    def outputs(self) -> list[Output]:
        """Return the outputs that this task brings about; there must be a plan."""
        return [output for output in self.draft.part(DATASET_PART) if output.step is self.step]

    def run(self) -> None:
        outputs = self.outputs()
        make = _count_images(load_backend(self.backend).make, progress_of(self), len(outputs))
        maker = ImageMaker(self.matches_plan, make)
        with disk_trouble_told():
            failures = publish(self.store, self.plan_id, outputs, maker, overwrite=self.overwrite)
        if failures:
            raise OutputError("\n".join(f"{f.path}: {f.reason}" for f in failures))


class WriteDescription(WriteOutputs):
    """Write dataset_description.json."""

    step = Step.DESCRIPTION


class WriteParticipants(WriteOutputs):
    """Write participants.tsv and participants.json, if there is a table of participants."""

    step = Step.PARTICIPANTS


class WriteSamples(WriteOutputs):
    """Write samples.tsv and samples.json."""

    step = Step.SAMPLES


class WriteScans(WriteOutputs):
    """Write a scans.tsv for each subject and session of which there is something to say."""

    step = Step.SCANS


class WriteReadme(WriteOutputs):
    """Write README.md and CHANGES, if the user has none."""

    step = Step.README


class WriteBidsIgnore(WriteOutputs):
    """Write our block of .bidsignore, if there is something that BIDS cannot hold."""

    step = Step.BIDSIGNORE


class AssetTask(WriteOutputs):
    """A step with an output for each asset, divided into units.

    A unit is one asset, by its key, or a bucket of assets, by two hex digits, or three where the
    work is slow. The task without a unit is the whole step, and only requires its units.
    """

    unit: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Asset or bucket of assets to work on; all of them if not given."
    )

    one_task_per_asset: ClassVar[bool] = False
    """Whether the work is slow: then an asset is alone in its task until there are too many."""

    def requires(self) -> list[luigi.Task]:
        return self.refusal() or (
            [self.clone(BuildPaths)] if self.unit else list(self.units(self.draft.keys))
        )

    @classmethod
    def unit_of(cls, key: str, keys: list[str]) -> str:
        """Return the unit that an asset belongs to, given the keys of all."""
        most, digits = (SLOW_BUCKETS, 3) if cls.one_task_per_asset else (BUCKETS, 2)
        return key if len(keys) <= most else bucket_of(key, digits)

    def units(self, keys: list[str]) -> Iterator[luigi.Task]:
        """Yield a task for each unit."""
        for unit in sorted({self.unit_of(key, keys) for key in keys}):
            yield self.clone(unit=unit)

    def outputs(self) -> list[Output]:
        unit = self.unit
        if not unit:
            return [o for o in self.draft.plan().outputs if o.step is self.step]
        name = unit[:2] if len(unit) <= 3 else bucket_of(unit)
        ours = [output for output in self.draft.part(name) if output.step is self.step]
        if unit == name:
            return ours
        return [o for o in ours if unit in {o.asset, bucket_of(o.asset, 3)}]

    def image_count(self) -> int:
        """Return how many images the task is about; the whole step works at none itself."""
        return len(self.outputs()) if self.unit else 0

    def run(self) -> None:
        if self.unit:
            super().run()


class WriteSidecars(AssetTask):
    """Write the JSON sidecar of each image."""

    step = Step.SIDECARS


class LinkAssets(AssetTask):
    """Get each image into the dataset. A backend is a subclass of this task.

    A backend says how an image is made (`make`), and how to tell that what is on disk is what it
    would make (`matches`). It does not own names, receipts, replacing or removing: those are the
    same for all. `make` gets a path that is free, on the disk of the output, and may be
    interrupted anywhere: what it leaves there is thrown away. Work of which that would be a pity
    is for `MakeAssets`.
    """

    step = Step.ASSETS
    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    """Raise it when the backend makes something else from the same source."""
    makes_symlinks: ClassVar[bool] = False
    same_disk: ClassVar[bool] = False
    """Whether sources must lie on the disk of the output."""
    impossible_on: ClassVar[frozenset[str]] = frozenset()
    """Types of file systems on which the backend cannot work."""
    extra: ClassVar[str] = ""
    """The extra of this package without which the backend cannot work."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """The modules that are there when the extra is installed."""
    makes: ClassVar[str] = ""
    """What users call the format that images are converted to; empty where none is converted."""
    settings: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """What a user can set, as in `--backend NAME:SETTING=VALUE`, and to what; defaults first."""

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Let a backend that is run by its own name be the backend of the run."""
        if cls.name and split_settings(kwargs.get("backend", ""))[0] != cls.name:
            kwargs = {**kwargs, "backend": cls.name}
        return super().get_param_values(params, args, kwargs)

    @classmethod
    def extension_of(cls, asset: Asset, settings: Mapping[str, str]) -> tuple[str, bool]:
        """Return the extension of an image in the dataset, and whether BIDS allows it."""
        del settings
        return asset.extension, asset.valid_in_bids

    @classmethod
    def least_room(cls, asset: Asset, settings: Mapping[str, str]) -> int:
        """Return how many bytes an image takes on the disk at the least, 0 if that is unknown."""
        del asset, settings
        return 0

    @classmethod
    def describe_target(
        cls, asset: Asset, relative_to: str | None, settings: Mapping[str, str]
    ) -> str:
        """Return what `make` needs to know besides the source.

        Parameters
        ----------
        asset
            The image, with its source and all that its row says.
        relative_to
            Absolute folder of the image, where relative links are wanted.
        settings
            Those that the user gave, each one of `settings` of this class.
        """
        del asset, relative_to, settings
        return ""

    @classmethod
    def describe_conversion(cls, asset: Asset, settings: Mapping[str, str]) -> dict[str, Any]:
        """Return what the sidecar tells of the conversion of an image; nothing if it is none."""
        del asset, settings
        return {}

    @classmethod
    def make(cls, output: Output, path: str) -> None:
        """Make the image of `output` at `path`, which is free."""
        raise NotImplementedError

    @classmethod
    def matches(cls, output: Output, path: str) -> bool:
        """Tell whether `path`, which exists, is what `make` would make."""
        raise NotImplementedError

    def units(self, keys: list[str]) -> Iterator[luigi.Task]:
        """Yield a task of the chosen backend for each unit."""
        backend = load_backend(self.backend)
        if type(self) is backend:
            yield from super().units(keys)
        else:
            yield from self.clone(backend).units(keys)


class LinkSources(AssetTask):
    """Link the original of each converted image below `sourcedata/`."""

    step = Step.SOURCES


DATASET_STEPS = (
    WriteDescription,
    WriteParticipants,
    WriteSamples,
    WriteScans,
    WriteReadme,
    WriteBidsIgnore,
)


def _count_images(
    make: Callable[[Output, str], None], progress: Progress, total: int
) -> Callable[[Output, str], None]:
    """Return `make`, with the images that it has made told as progress."""
    numbers = count()

    def make_and_count(output: Output, path: str) -> None:
        progress.reach(next(numbers), total, "images made")
        make(output, path)

    return make_and_count
