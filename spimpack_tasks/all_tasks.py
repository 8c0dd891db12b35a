"""All tasks of this package; Luigi knows them by name as soon as this module is imported."""

from spimpack_tasks.alignment.tasks.results import (
    PrepareAlignment,
    WriteAlignmentPage,
    WriteDatapackage,
)
from spimpack_tasks.alignment.tasks.steps import (
    DiscoverAssets,
    ExtractEphys,
    ProbeTrack,
    RegisterToTemplate,
    ReorientHistology,
    TrackRegions,
    ValidateAlignmentInputs,
    WarpToCCF,
    WarpToImage,
)
from spimpack_tasks.conversion.tasks.image import ConvertImage
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
from spimpack_tasks.packaging.tasks.making import ConvertPart, MakeAssets
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
from spimpack_tasks.publishing.tasks.dataset import (
    CommitInventory,
    OpenPublication,
    PruneRemote,
    PublishDataset,
    SendImages,
    SendTexts,
)
from spimpack_tasks.publishing.tasks.ingest import (
    BringUnit,
    DescribeDandiset,
    IngestDataset,
    OpenIngest,
    PruneAssets,
    RegisterAssets,
)
from spimpack_tasks.qc.tasks.page import WriteQcReport
from spimpack_tasks.stitching.tasks.deconvolve import DeconvolveVolume
from spimpack_tasks.stitching.tasks.deskew import DeskewTile
from spimpack_tasks.stitching.tasks.discover import DiscoverTiles
from spimpack_tasks.stitching.tasks.volume import (
    AlignTiles,
    IlluminationCorrection,
    PreprocessTile,
    StitchChannel,
    StitchSlab,
)
from spimpack_tasks.streams.tasks.write_frames import WriteFrames
from spimpack_tasks.study.tasks.study import MakeItem, ProcessStudy
from spimpack_tasks.validation.tasks.dataset import ValidateDataset

__all__ = [
    "AlignTiles",
    "BringUnit",
    "BuildPaths",
    "CommitInventory",
    "ConvertImage",
    "ConvertPart",
    "CopyAssets",
    "DeconvolveVolume",
    "DescribeDandiset",
    "DeskewTile",
    "DiscoverAssets",
    "DiscoverTiles",
    "ExtractEphys",
    "HardlinkAssets",
    "IlluminationCorrection",
    "IngestDataset",
    "LinkAssets",
    "LinkSources",
    "MakeAssets",
    "MakeItem",
    "OmeTiffAssets",
    "OmeZarrAssets",
    "OpenIngest",
    "OpenPublication",
    "PackageAndValidate",
    "PackageDataset",
    "PrepareAlignment",
    "PreprocessTile",
    "ProbeTrack",
    "ProcessStudy",
    "PruneAssets",
    "PruneRemote",
    "PruneStale",
    "PublishDataset",
    "RecordChecksums",
    "RegisterAssets",
    "RegisterToTemplate",
    "ReorientHistology",
    "SendImages",
    "SendTexts",
    "StitchChannel",
    "StitchSlab",
    "SymlinkAssets",
    "SymlinkTreeAssets",
    "TrackRegions",
    "ValidateAlignmentInputs",
    "ValidateDataset",
    "ValidateManifest",
    "WarpToCCF",
    "WarpToImage",
    "WriteAlignmentPage",
    "WriteBidsIgnore",
    "WriteChecksumLists",
    "WriteCompanions",
    "WriteDatapackage",
    "WriteDescription",
    "WriteFrames",
    "WriteParticipants",
    "WritePreviews",
    "WriteQcReport",
    "WriteReadme",
    "WriteSamples",
    "WriteScans",
    "WriteSidecars",
]
