"""Checks the manifest of a study before anything is made, though products may not be there yet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spimpack_tasks.errors import InputError, Report
from spimpack_tasks.manifest.products import PRODUCTS
from spimpack_tasks.packaging.options import Options
from spimpack_tasks.packaging.prepare import prepare_run

if TYPE_CHECKING:
    from spimpack_tasks.errors import Problem
    from spimpack_tasks.study.study import Study, StudyItem


def package_options(study: Study, item: StudyItem) -> Options:
    """Return the options of the run that packages; the manifest may lie in the study itself."""
    values = study.values(item)
    manifest = values.pop("manifest")
    return Options(
        study.path if isinstance(manifest, dict) else study.place(manifest),
        study.place(values.pop("output_dir")),
        **values,
    )


def check_manifest(study: Study) -> Report:
    """Return the problems of manifest and tables, apart from products that are not made yet."""
    found = study.items_of("package")
    if not found:
        return Report()
    prepared = prepare_run(replace(package_options(study, found[0]), writes=False))
    products = [study.product(each) for stage in PRODUCTS for each in study.items_of(stage)]
    told = {repr(path) for path in products}
    return Report([p for p in prepared.report.problems if not _is_to_come(p, told)])


def require_manifest(study: Study) -> None:
    """Refuse a manifest that would be refused after hours of stitching.

    Raises
    ------
    InputError
        It has errors besides products that are not made yet.
    """
    report = check_manifest(study)
    if report.errors:
        raise InputError(report)


def _is_to_come(problem: Problem, products: set[str]) -> bool:
    is_missing = problem.code == "source.missing" and problem.key == "spim_path"
    return is_missing and any(problem.message.startswith(path) for path in products)
