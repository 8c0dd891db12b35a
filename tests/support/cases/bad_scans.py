"""Scans that are refused: each case is a tree, options, the code and a text of the message."""

# One case is one row, so rows are long.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BadScan:
    """Files below `scope`, further arguments, and what is to be said."""

    id: str
    files: str
    arguments: tuple[str, ...]
    code: str
    says: str
    prepare: Callable[[Path], object] = lambda _: None
    """Does something else in the folder that holds `scope`."""
    scan: tuple[str, ...] = ("study", "--scan", "scope")


SCAN_WARNINGS = {"scan.unreadable", "scan.extra", "scan.gap", "scan.order", "scan.one-label"}
"""Codes of what does not stop a scan; each has a test of its own in tests/unit/test_scan.py."""


def pattern(text: str):
    return "--pattern", text


def write(name: str):
    def prepare(folder: Path):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine\n")

    return prepare


ONE = "sub-01/a.ims"

CASES = [
    BadScan("layout-unknown", ONE, ("--layout", "mesospm"), "scan.layout", "did you mean 'mesospim'?"),
    BadScan("two-captures-side-by-side", ONE, pattern("{subject}{session}/*.ims"), "scan.pattern",
            "does not say where {subject} ends and {session} begins in '{subject}{session}'"),
    BadScan("capture-beside-star", ONE, pattern("sub-{subject}*/*.ims"), "scan.pattern", "where {subject} ends and * begins"),
    BadScan("entity-misspelt", ONE, pattern("{sujbect}/*.ims"), "scan.pattern", "did you mean 'subject'?"),
    BadScan("entity-unknown", ONE, pattern("{xyzzy}/*.ims"), "scan.pattern", "known are subject, sub, session"),
    BadScan("capture-without-name", ONE, pattern("{}/*.ims"), "scan.pattern", "captures ''"),
    BadScan("no-regex", ONE, pattern("{subject:(}/*.ims"), "scan.pattern", "'(', which is not a regular expression: missing )"),
    BadScan("regex-of-endless-length", ONE, pattern("{subject:a{99999999999}}/*.ims"), "scan.pattern", "repetition number is too large"),
    BadScan("brace-alone", ONE, pattern("sub-{subject/*.ims"), "scan.pattern", "has a { without its other half"),
    BadScan("pattern-absolute", ONE, pattern("/sub-{subject}/*.ims"), "scan.pattern", "begins with a slash"),
    BadScan("pattern-leads-out", ONE, pattern("../{subject}/*.ims"), "scan.pattern", "has '..' for a name"),
    BadScan("pattern-two-slashes", ONE, pattern("{subject}//*.ims"), "scan.pattern", "has '' for a name"),
    BadScan("pattern-empty", ONE, pattern(""), "scan.pattern", "has '' for a name"),
    BadScan("folders-within-a-name", ONE, pattern("sub-**/*.ims"), "scan.pattern", "has ** within a name"),
    BadScan("exclude-captures", ONE, ("--exclude", "{subject}"), "scan.pattern", "captures a label"),
    BadScan("i16-4-two-axes", ONE, pattern("{subject}/{T}_{Z}.ims"), "scan.pattern", "captures T and Z, and files are merged along one axis"),
    BadScan("i16-4-one-part-twice", "sub-01/a_1.ims sub-01/b_1.ims", pattern("{subject}/*_{T}.ims"), "scan.group", "gives T '1', as 'sub-01/a_1.ims' does"),
    BadScan("i16-4-one-part-twice-by-zeros", "sub-01/a_1.ims sub-01/a_01.ims", pattern("{subject}/a_{T}.ims"), "scan.group", "gives T '1', as 'sub-01/a_01.ims' does"),
    BadScan("i16-4-separator-in-a-name", "sub-01/a;b_1.ims", pattern("{subject}/*_{T}.ims"), "scan.group", "a list of paths cannot hold a ';'"),
    BadScan("i16-4-axis-set", ONE, ("--set", "merge_axis=T"), "scan.setting", "capture {T}, {C} or {Z} in a --pattern"),
    BadScan("i16-4-policy-unknown", ONE, ("--set", "merge_shape=wide"), "scan.setting", "write error or pad"),
    BadScan("o51-no-subject", ONE, ("--level", "subject=mouse-"), "scan.no-match", "'subject=mouse-' fits no image"),
    BadScan("o51-unknown-subject", ONE, ("--level", "subject=sub-02"), "scan.no-match", "'subject=sub-02' fits no image"),
    BadScan("o51-level-of-nothing", ONE, ("--level", "subject=sub-", "--level", "T=TAG_"), "scan.no-match", "'subject=sub-/T=TAG_' fits no image"),
    BadScan("o53-one-name-for-two", "sub-01/a.tif sub-01/a.ome.tif", ("--level", "subject=sub-", "--set", "sample=brain"), "path.duplicate", "makes sub-01"),
    BadScan("i16-4-level-unknown", ONE, ("--level", "mouse=M"), "scan.pattern", "is no level of an entity or axis"),
    BadScan("i16-4-level-twice", ONE, ("--level", "subject=M", "--level", "sub=N"), "scan.pattern", "names a level twice"),
    BadScan("i16-4-axis-on-top", ONE, ("--level", "T=TAG_", "--level", "subject=M"), "scan.pattern", "has an axis above other levels"),
    BadScan("i16-4-level-of-signs", ONE, ("--level", "subject=M[0-9]"), "scan.pattern", "has other characters than letters"),
    BadScan("b50-no-part-of-a-name", ONE, pattern("sub/*.ims"), "scan.no-match", "'sub/*.ims' fits no image; 'sub-01/a.ims' is an image here"),
    BadScan("b51-a-pattern-fits-nothing", ONE, (*pattern("sub-{subject}/*.ims"), *pattern("{subject}/*.tif")),
            "scan.no-match", "'{subject}/*.tif' fits no image that an earlier pattern leaves"),
    BadScan("b51-earlier-patterns-take-all", ONE, (*pattern("sub-{subject}/*.ims"), *pattern("{subject}/*.ims")),
            "scan.no-match", "'{subject}/*.ims' fits no image that an earlier pattern leaves"),
    BadScan("b51-no-image", "notes.txt", (), "scan.no-image", "known endings are .ome.zarr.zip"),
    BadScan("b51-nothing-at-all", "", (), "scan.no-image", "0 other paths found"),
    BadScan("b51-all-excluded", ONE, ("--exclude", "*.ims"), "scan.no-image", "no image is left below it: --exclude '*.ims' leaves out 1 path"),
    BadScan("two-readings", "a/b/c.ims", pattern("**/{subject}/**/*.ims"), "scan.ambiguous", "fits with 'a' or 'b'"),
    BadScan("two-readings-of-a-name", "1_2_3_4.ims", pattern("*_{run}_*.ims"), "scan.ambiguous", "fits with '2' or '3'"),
    BadScan("b53-two-images-of-one-name", "a/sub-01_sample-b.ims a/sub-01_sample-b.ozx", (), "path.duplicate",
            "a/sub-01_sample-b.ozx: makes sub-01_sample-b_SPIM, as 'a/sub-01_sample-b.ims' does"),
    BadScan("b54-one-stem-two-folders", "1/sub-01_sample-b.ims 2/sub-01_sample-b.ims", (), "path.duplicate", "as '1/sub-01_sample-b.ims' does"),
    BadScan("b53-many-images-of-one-name", " ".join(f"sub-01_sample-b/{n}.tif" for n in range(1, 1201)), (), "path.duplicate",
            "sub-01_sample-b/2.tif: makes sub-01_sample-b_SPIM, as 'sub-01_sample-b/1.tif' does; so do 1,198 more"),
    BadScan("two-readings-many-times", "a/b/c.ims a/b/d.ims", pattern("**/{subject}/**/*.ims"), "scan.ambiguous", "a/b/c.ims: subject: "),
    BadScan("two-texts-one-label", "mouse-01/a.ims mouse_01/a.ims mouse_01/b.ims", pattern("{subject}/*.ims"), "scan.same-label",
            "'mouse_01' and 'mouse-01' would both become 'mouse01'"),
    BadScan("label-without-letters", "日本/a.ims", pattern("{subject}/*.ims"), "value.label", "'日本' has no letters A to Z or digits"),
    BadScan("run-with-letters", "a1.ims", pattern("{run}.ims"), "value.index", "'a1' has no digits only"),
    BadScan("set-a-label", ONE, ("--set", "sample=my brain"), "value.label", "write 'mybrain'"),
    BadScan("set-a-run", ONE, ("--set", "run=1.5"), "value.index", "write digits only"),
    BadScan("set-without-value", ONE, ("--set", "sample"), "scan.setting", "'sample' is not COLUMN=VALUE"),
    BadScan("set-nothing", ONE, ("--set", "sample= "), "scan.setting", "is not COLUMN=VALUE"),
    BadScan("set-the-path", ONE, ("--set", "spim_path=a.ims"), "scan.setting", "cannot be set"),
    BadScan("set-twice", ONE, ("--set", "acquisition=4x", "--set", "acq=2x"), "scan.setting", "'acq=2x' sets a column once more"),
    BadScan("set-a-line-end", ONE, ("--set", "BodyPart=a\nb"), "scan.setting", "cannot stand in a table"),
    BadScan("set-a-typing-error", ONE, ("--set", "samle=brain"), "scan.setting", "did you mean 'sample'?"),
    BadScan("set-what-is-captured", ONE, (*pattern("sub-{sub}/*"), "--set", "subject=01"), "scan.setting", "sets what the pattern 'sub-{sub}/*' captures"),
    BadScan("i15-4-set-a-letter-wrong", ONE, ("--set", "sampel=brain"), "scan.setting", "did you mean 'sample'?"),
    BadScan("i15-4-set-half-a-name", ONE, ("--set", "orientation=RPI"), "scan.setting", "did you mean 'orientation_string_xyz'?"),
    BadScan("i15-4-set-no-orientation", ONE, ("--set", "orientation_string_xyz=XYZ"), "scan.setting", "is not an orientation"),
    BadScan("i15-4-default-no-orientation", ONE, ("--default", "orientation_string_xyz=XYZ"), "scan.setting", "--default: 'orientation_string_xyz=XYZ' is not"),
    BadScan("i15-4-default-misspelt", ONE, ("--default", "sampel=brain"), "scan.setting", "did you mean 'sample'?"),
    BadScan("i15-4-default-beside-set", ONE, ("--set", "sample=a", "--default", "sample=b"), "scan.setting", "--set gives a value in all rows"),
    BadScan("i15-4-expression-without-captures", ONE, pattern("re:.*"), "scan.pattern", "captures nothing by named groups"),
    BadScan("i15-4-expression-broken", ONE, pattern("re:(?P<subject>"), "scan.pattern", "not a regular expression"),
    BadScan("i15-4-expression-of-no-entity", ONE, pattern("re:(?P<sbject>.*)"), "scan.pattern", "did you mean 'subject'?"),
    BadScan("i15-4-two-sexes", "M_sub-01/a.ims F_sub-01/b.ims", pattern("{sex}_{subject}/{acq}"), "scan.participant",
            "M_sub-01/a.ims: sex: gives sub-01 'M', but 'F_sub-01/b.ims' gives 'F'"),
    BadScan("i15-4-two-patterns-one-name", "a/x.ims b/x.ims", (*pattern("a/{ses}"), *pattern("b/{ses}"), "--set", "sub=1", "--set", "sample=x"),
            "path.duplicate", "b/x.ims: makes sub-1_ses-x_sample-x_SPIM by 'b/{ses}', as 'a/x.ims' does by 'a/{ses}'"),
    BadScan("root-missing", ONE, (), "scan.root", "No such file", scan=("study", "--scan", "scoop")),
    BadScan("root-empty", ONE, (), "scan.root", "No such file", scan=("study", "--scan", "")),
    BadScan("root-is-a-file", ONE, (), "scan.root", "Not a directory", scan=("study", "--scan", f"scope/{ONE}")),
    BadScan("root-is-an-image", "a.ome.zarr", (), "scan.root", "is a Zarr store", scan=("study", "--scan", "scope/a.ome.zarr")),
    BadScan("b52-root-is-a-dataset", ONE, (), "scan.root", "a dataset that spimpack wrote", lambda folder: (folder / "scope/.spimpack").mkdir()),
    BadScan("b58-into-the-tree", ONE, (), "scan.inside", "spimpack init DIR --scan", scan=("scope/study", "--scan", "scope")),
    BadScan("b58-into-the-root", ONE, (), "scan.inside", "only looked at", scan=("scope", "--scan", "scope")),
    BadScan("b58-into-the-tree-by-a-link", ONE, (), "scan.inside", "only looked at", lambda folder: (folder / "study").symlink_to("scope/sub-01")),
    BadScan("scan-missing", ONE, pattern("*.ims"), "option.missing", "--scan: is missing beside --pattern", scan=("study",)),
]

CONFLICTS = [
    BadScan(f"{name.partition('.')[0]}-is-there", ONE, (), "conflict.exists", f"study/{name}: is there already", write(f"study/{name}"))
    for name in ("manifest.yml", "scans.tsv", "participants.tsv", "scan_report.tsv")
]
