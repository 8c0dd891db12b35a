"""Names of files and folders, as the public package for the IBL alignment GUI has them."""

from __future__ import annotations

from typing import NamedTuple

NEUROGLANCER, MANIFEST = "neuroglancer.json", "manifest.csv"
IMAGES_FOLDER = "image_tile_fusing/OMEZarr"
REGISTRATION_FOLDER = "image_atlas_alignment"
ATLAS = {
    "ccf_template": "allen_mouse_ccf/average_template/average_template_25.nii.gz",
    "ccf_labels": "allen_mouse_ccf_annotations_lateralized_compact/"
    "ccf_2017_annotation_25_lateralized_compact.nrrd",
    "label_ids": "allen_mouse_ccf_annotations_lateralized_compact/"
    "ccf_2017_annotation_25_lateralized_unique_vals.npz",
    "template_to_ccf_dir": "spim_template_to_ccf",
}
"""Files of the atlas by their option, below the data root."""
ALIGNMENT_NOTE = "Template based registration: LS -> template -> Allen CCFv3 Atlas"
IMPORT_STEP, ALIGNMENT_STEP = "Image importing", "Image atlas alignment"


class TransformNames(NamedTuple):
    """File names of a transformation that ANTs made: affine, and displacements both ways."""

    affine: str
    warp: str
    inverse_warp: str


def ants_names(prefix: str) -> TransformNames:
    """Return the names that ANTs gives to its files, behind a prefix."""
    return TransformNames(
        f"{prefix}0GenericAffine.mat", f"{prefix}1Warp.nii.gz", f"{prefix}1InverseWarp.nii.gz"
    )


IMAGE_TO_TEMPLATE = (ants_names("ls_to_template_SyN_"), ants_names(""))
"""Names that are looked for, in this order."""
MADE_HERE = ants_names("image_to_template_")
IDENTITY = ants_names("template_is_ccf_")
"""Names of a registration that is made here, and of one that moves nothing."""
SIDECAR = "transform_information.json"
IMAGE_TO_TEMPLATE_SIDECARS = (f"ls_to_template_{SIDECAR}", SIDECAR)
TEMPLATE_TO_CCF_SIDECARS = (f"template_to_ccf_{SIDECAR}", SIDECAR)
TEMPLATE_TO_CCF = (ants_names("syn_"), ants_names("template_to_ccf_"), ants_names(""))

IMAGE_SPACE, CCF_SPACE = "image_space_histology", "ccf_space_histology"
REGISTRATION_NAME = "histology_registration"
PIPELINE_GEOMETRY = f"{IMAGE_SPACE}/{REGISTRATION_NAME}_pipeline.json"
CCF_IN_IMAGE, LABELS_IN_IMAGE = "ccf_in_mouse", "labels_in_mouse"
REGION_VOLUMES = f"{IMAGE_SPACE}/region_volumes.tsv"
TRACKS = "track_data"
REGISTRATION = "registration"
"""Folder of a registration that was made here."""
BRAINGLOBE_METADATA = "metadata.json"
BRAINGLOBE = {
    "ccf_template": "reference.tiff",
    "ccf_labels": "annotation.tiff",
    "structures": "structures.json",
}
"""Files in a folder of brainglobe by their option."""
QC_PAGE = "qc.html"
STATE = "_state"
DATAPACKAGE, COVERAGE = "datapackage.json", "coverage.json"
SCHEMAS = ("4.1.0", "1.0.0")
"""Versions of datapackage.json, the default first."""
DESCRIPTION, PROGRAM = "dataset_description.json", "spimpack_tasks"
"""The description of a dataset, and the name of the program that made it, as it stands there."""
