"""All tasks of this package; Luigi knows them by name as soon as this module is imported."""

from spimpack_tasks.joined_tasks import PackageAndValidate
from spimpack_tasks.packaging.tasks.backends import (
    CopyAssets,
    HardlinkAssets,
    OmeTiffAssets,
    OmeZarrAssets,
    SymlinkAssets,
    SymlinkTreeAssets,
)
from spimpack_tasks.packaging.tasks.dataset import (
    PackageDataset,
    PruneStale,
    RecordChecksums,
    WriteChecksumLists,
)
from spimpack_tasks.packaging.tasks.making import MakeAssets
from spimpack_tasks.packaging.tasks.planning import BuildPaths, ValidateManifest
from spimpack_tasks.packaging.tasks.writing import (
    LinkAssets,
    LinkSources,
    WriteBidsIgnore,
    WriteCompanions,
    WriteDescription,
    WriteParticipants,
    WritePreviews,
    WriteReadme,
    WriteSamples,
    WriteScans,
    WriteSidecars,
)
from spimpack_tasks.qc.tasks.page import WriteQcReport
from spimpack_tasks.validation.tasks.dataset import ValidateDataset

__all__ = [
    "BuildPaths",
    "CopyAssets",
    "HardlinkAssets",
    "LinkAssets",
    "LinkSources",
    "MakeAssets",
    "OmeTiffAssets",
    "OmeZarrAssets",
    "PackageAndValidate",
    "PackageDataset",
    "PruneStale",
    "RecordChecksums",
    "SymlinkAssets",
    "SymlinkTreeAssets",
    "ValidateDataset",
    "ValidateManifest",
    "WriteBidsIgnore",
    "WriteChecksumLists",
    "WriteCompanions",
    "WriteDescription",
    "WriteParticipants",
    "WritePreviews",
    "WriteQcReport",
    "WriteReadme",
    "WriteSamples",
    "WriteScans",
    "WriteSidecars",
]
