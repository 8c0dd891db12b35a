"""The tasks of a publication, in an object store."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import luigi
from luigi.configuration import get_config

from spimpack_tasks.errors import SpimpackError
from spimpack_tasks.luigi_setup import AbsolutePath
from spimpack_tasks.publishing.journal import read_journal
from spimpack_tasks.publishing.objects import TEXTS, find_objects, items_of_unit, units_of
from spimpack_tasks.publishing.publish import (
    commit_inventory,
    end_publication,
    open_publication,
    prune_remote,
    send_unit,
)
from spimpack_tasks.publishing.target import Target, identify, make_location
from spimpack_tasks.publishing.tasks.step import StepRecord, StepTask
from spimpack_tasks.remote.rate import parse_rate

if TYPE_CHECKING:
    from spimpack_tasks.publishing.objects import Item

logger = logging.getLogger(__name__)


@lru_cache(2)
def _items(target: Target, run_id: str) -> list[Item] | None:  # noqa: ARG001  # part of the key
    """Return the outputs to send, `None` where the dataset or the target is refused."""
    try:
        target.publication()
        return target.items()
    except (SpimpackError, OSError):
        return None


class ObjectsSent(luigi.Target):
    """Objects of a unit, each acknowledged by the store as its file is now."""

    def __init__(self, task: PublicationTask, unit: str) -> None:
        self.task = task
        self.unit = unit

    def exists(self) -> bool:
        """Compare the journal with the files."""
        items = self.task.items()
        if items is None or not self.task.has_record("opened"):
            return False
        publication = self.task.target().publication()
        some = items_of_unit(items, self.unit)
        journals = {b: read_journal(publication.journal(b)) for b in {i.bucket for i in some}}
        try:
            return all(
                (entry := journals[item.bucket].get(local.name)) is not None and entry.fits(local)
                for item in some
                for local in find_objects(self.task.dataset, item)
            )
        except (SpimpackError, OSError):
            return False


class RateParameter(luigi.Parameter[int]):
    """A number of bytes a second."""

    def parse(self, x: str) -> int:
        """Return the number that a text such as 5M stands for.

        Raises
        ------
        luigi.parameter.ParameterException
            It is none.
        """
        try:
            return parse_rate(x)
        except ValueError as error:
            message = f"limit_rate: {error}"
            raise luigi.parameter.ParameterException(message) from error


class PublicationTask(StepTask):
    """A step of a publication."""

    dataset: luigi.Parameter[str] = AbsolutePath(description="Directory of the packaged dataset.")
    url: luigi.Parameter[str] = luigi.Parameter(
        description="Address to publish to, such as s3://bucket/prefix."
    )
    endpoint_url: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Address of the service, for look-alikes of S3."
    )
    profile: luigi.Parameter[str] = luigi.Parameter(
        default="",
        significant=False,
        description="Name of a profile of the AWS configuration with the credentials.",
    )
    include: luigi.Parameter[str] = luigi.Parameter(
        default="",
        description="Further files of the dataset to send, separated by commas; by default those "
        "of the last run.",
    )
    with_sources: luigi.Parameter[bool] = luigi.BoolParameter(
        description="Send the originals of converted images as well."
    )
    no_include: luigi.Parameter[bool] = luigi.BoolParameter(
        description="Send no further files and no originals, also if the last run has sent some."
    )
    replace_dataset: luigi.Parameter[bool] = luigi.BoolParameter(
        description="Replace another dataset that is published there: its objects are deleted."
    )
    limit_rate: luigi.Parameter[int] = RateParameter(
        default=0,
        significant=False,
        description="Bytes a second that each worker sends at most, such as 5M; 0 for no limit.",
    )
    publication_id: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Identity of what is published; worked out if not given."
    )

    @classmethod
    def get_param_values(
        cls, params: list[tuple[str, Any]], args: list[Any], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """Work out the identities where they are not given."""
        values = dict(super().get_param_values(params, args, kwargs))
        if not values["publication_id"]:
            with suppress(SpimpackError):  # the task that opens the publication says it
                values["endpoint_url"] = make_location(
                    values["url"], values["endpoint_url"], values["profile"]
                ).endpoint_url
            target = _target_of(values)
            with suppress(SpimpackError, OSError):
                target = target.with_included()
            values["include"], values["with_sources"] = ",".join(target.include), target.sources
            try:
                values["publication_id"] = identify(target)
            except OSError:
                values["publication_id"] = "unknown"
        cls.choose_run(values, values["publication_id"])
        return list(values.items())

    def target(self) -> Target:
        """Return the dataset and where it is published."""
        return _target_of(self.param_kwargs)

    def items(self) -> list[Item] | None:
        """Return the outputs to send, `None` where the dataset or the target is refused."""
        return _items(self.target(), self.run_id)


def _target_of(values: dict[str, Any]) -> Target:
    return Target(
        values["dataset"],
        values["url"],
        values["endpoint_url"],
        values["profile"],
        tuple(filter(None, map(str.strip, values["include"].split(",")))),
        bool(values["with_sources"]),
        bool(values["replace_dataset"]),
        bool(values["no_include"]),
        int(values["limit_rate"]),
    )


class OpenPublication(PublicationTask):
    """Look at what is published, and take the lease if there is something to do."""

    def output(self) -> luigi.Target:
        return StepRecord(self, "opened")

    def work(self) -> None:
        record = open_publication(self.target(), self.publication_id, self.run_id)
        if not record.get("is_exclusive", True):
            logger.warning(
                "%s keeps no conditions, so two publishers at once are not kept apart", self.url
            )
        logger.info("%s: %s objects, %s to send", self.url, record["objects"], record["to_send"])


class SendObjects(PublicationTask):
    """Send objects of the dataset."""

    def process_resources(self) -> dict[str, int]:
        """Ask for one of `publish`, where the configuration says how many there are."""
        return {"publish": 1} if "publish" in get_config().getintdict("resources") else {}

    def run(self) -> None:
        if self.target().publication().read("opened").get("is_current"):
            return
        with self.noting_failure():
            self.work()
        self.has_looked = True  # each object was acknowledged, or this would have failed

    def send(self, unit: str) -> None:
        """Send the objects of a unit, and show the progress."""
        self.bring(
            *(self.publication_id, unit, logger),
            lambda hear: send_unit(self.target(), self.publication_id, unit, hear),
        )


class SendImages(SendObjects):
    """Send images: one, or a share of many."""

    unit: luigi.Parameter[str] = luigi.Parameter(
        description="Path of an image in the dataset, or the name of a share of many."
    )

    def requires(self) -> Any:
        return self.clone(OpenPublication)

    def output(self) -> luigi.Target:
        return ObjectsSent(self, self.unit)

    def work(self) -> None:
        self.send(self.unit)


class SendTexts(SendObjects):
    """Send tables, sidecars and the description, after all images."""

    def requires(self) -> list[luigi.Task]:
        units = units_of(self.items() or [])
        return [self.clone(OpenPublication), *(self.clone(SendImages, unit=u) for u in units)]

    def output(self) -> luigi.Target:
        return ObjectsSent(self, TEXTS)

    def work(self) -> None:
        self.send(TEXTS)


class CommitInventory(PublicationTask):
    """Make the inventory of the dataset the current one, which publishes the dataset."""

    def requires(self) -> Any:
        return self.clone(SendTexts)

    def output(self) -> luigi.Target:
        return StepRecord(self, "committed")

    def work(self) -> None:
        commit_inventory(self.target(), self.publication_id, self.run_id)


class PruneRemote(PublicationTask):
    """Delete objects of ours that the inventory no longer names."""

    def requires(self) -> Any:
        return self.clone(CommitInventory)

    def output(self) -> luigi.Target:
        return StepRecord(self, "pruned")

    def work(self) -> None:
        prune_remote(self.target(), self.publication_id, self.run_id)


class PublishDataset(PublicationTask):
    """Send a packaged dataset to an object store."""

    def requires(self) -> Any:
        return self.clone(PruneRemote)

    def output(self) -> luigi.Target:
        return StepRecord(self, "published")

    def is_published(self) -> bool:
        """Tell whether the dataset was published as it is now; the store itself is not asked."""
        try:
            record = self.target().publication().read("published")
        except (SpimpackError, OSError):
            return False
        # The identity of a run begins with that of what it publishes, see `choose_run`.
        return str(record.get("run_id", "")).startswith(str(self.publication_id)[:16])

    def work(self) -> None:
        line = end_publication(self.target(), self.publication_id, self.run_id)
        logger.info("%s", line)
