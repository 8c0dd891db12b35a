"""Writes the reference pages from what the program itself reads: schemas, parser, exit codes.

    python docs/generate.py

A test compares the committed pages with what comes out here, so they cannot drift. Pages that
explain something (tutorial, how-to, design) are written by hand.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spimpack_tasks import errors
from spimpack_tasks.cli.parser import build_parser, nested_parsers, whole_parsers
from spimpack_tasks.files.plane_names import ENDINGS as PLANE_ENDINGS
from spimpack_tasks.model.entities import ENTITIES
from spimpack_tasks.schemas import load_schema
from spimpack_tasks.volumes.formats import FORMATS

sys.path.insert(0, str(Path(__file__).parent))

from api_page import api_lines, stream_name_lines
from format_matrix import rows as matrix_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py; edit the schema or the code instead. -->"
NOT_BLANK = r"\S"


def pages() -> dict[str, str]:
    """Return the text of each generated page by file name."""
    return {
        "manifest.md": _page(manifest_lines()),
        "scans.md": _page(scans_lines()),
        "participants.md": _page(participants_lines()),
        "photos.md": _page(photos_lines()),
        "sidecar.md": _page(sidecar_lines()),
        "streams.md": _page(stream_lines()),
        "study.md": _page(study_lines()),
        "formats.md": _page(formats_lines()),
        "cli.md": _page(cli_lines()),
        "report.md": _page(report_lines()),
        "api.md": _page(api_lines()),
        "exit-codes.md": _page(exit_codes_lines()),
    }


def stream_lines() -> Iterator[str]:
    """Yield the page on the settings of streams."""
    schema = load_schema("stream")
    yield from ("# Streams of frames", "", "[How to write frames](../how-to/stream-frames.md)", "")
    yield from ("The settings of a stream, in Python, YAML or JSON.", "")
    yield from _properties(schema, "Key")
    dimension = schema["properties"]["dimensions"]["items"]
    coordinate = dimension["properties"]["coords"]["items"]
    for title, part in (
        ("A dimension", dimension),
        ("A channel or position", coordinate),
        ("The plate", schema["properties"]["plate"]),
        ("The place in a BIDS dataset", schema["properties"]["bids"]),
    ):
        yield from ("", f"## {title}", "", part["description"], "")
        yield from _properties(part, "Key")
    yield from ("", *stream_name_lines())


def study_lines() -> Iterator[str]:
    """Yield the page on studies."""
    schema = load_schema("study")
    yield from ("# The study", "", "[How to run a study](../how-to/run-a-study.md)", "")
    yield from (f"{schema['description']} A YAML file; paths in it start at its folder.", "")
    yield from _properties(schema, "Key")
    stages = schema["properties"]["stages"]
    yield from ("", "## Stages", "", stages["description"], "", *_properties(stages, "Stage"))
    for name, stage in stages["properties"].items():
        item = stage.get("additionalProperties")
        part = item if isinstance(item, dict) else stage
        title = f"An item of {name}" if part is item else name
        yield from ("", f"## {title}", "", part["description"], "", *_properties(part, "Key"))


def manifest_lines() -> Iterator[str]:
    """Yield the page on the manifest."""
    schema = load_schema("manifest")
    yield from ("# The manifest", "", schema["description"], "")
    yield from ("A YAML file. Keys that are not listed at the top level are refused.", "")
    yield from _properties(schema, "Key")
    description = schema["properties"]["dataset_description"]
    yield from ("", "## dataset_description", "", description["description"], "")
    yield from _properties(description, "Key")
    block = load_schema("publication")
    yield from ("", "## publication", "", block["description"], "")
    yield from _properties(block, "Key")
    for name, inner in block["properties"].items():
        for path, part in _objects(f"`{name}`", inner):
            yield from ("", f"### {path}", "", part["description"], "", *_properties(part, "Key"))
    datasets = schema["properties"]["datasets"]
    yield from ("", "## An item of datasets", "", datasets["description"], "")
    yield from _properties(datasets["items"], "Key")
    yield from ("", "The keys of an asset are the columns of the [scans table](scans.md).")


def scans_lines() -> Iterator[str]:
    """Yield the page on the scans table."""
    schema = load_schema("scans")
    short = {e.name: e.short for e in ENTITIES if e.name != e.short}
    yield from ("# The scans table", "", schema["description"], "")
    yield "Tab-separated text, UTF-8, with a header. An empty cell and `n/a` say nothing."
    yield "All tables may also be `.csv`, with commas or semicolons as in the header, and quotes"
    yield "around cells that hold them, or `.xlsx`, of which the first sheet with content is read"
    yield "(extra `spreadsheets`). The web UI edits tab-separated text only."
    yield "Sidecar keys are listed in [sidecar.md](sidecar.md)."
    yield ""
    yield "A label may have its short name in front: `sub-01` is `01`. Items of a list stand"
    yield "between semicolons, or between commas. A list with both is refused, and so is `3,5` for"
    yield "numbers, which may be one: decimals are written with a point."
    yield ""
    yield from _properties(schema, "Column")
    yield from ("", "Short names of columns, as in file names:", "")
    yield from _table(("Column", "Short"), ((f"`{n}`", f"`{s}`") for n, s in short.items()))
    yield from ("", "The path in the dataset:", "", "```text", _path_pattern(), "```")


def participants_lines() -> Iterator[str]:
    """Yield the page on the participants table."""
    schema = load_schema("participants")
    yield from ("# The participants table", "", schema["description"], "")
    yield from ("Optional. Where it is given, it lists each subject of the scans table once.", "")
    yield from _properties(schema, "Column")


def photos_lines() -> Iterator[str]:
    """Yield the page on the photos table."""
    schema = load_schema("photos")
    yield from ("# The photos table", "", schema["description"], "")
    yield "Optional. A photo becomes `sub-<subject>[_ses-<session>]_sample-<sample>"
    yield "[_acq-<acquisition>]_photo` with `.jpg`, `.png` or `.tif`, beside the images of its"
    yield "subject; its sidecar names the images that it belongs to."
    yield ""
    yield from _properties(schema, "Column")


def sidecar_lines() -> Iterator[str]:
    """Yield the page on the sidecar."""
    schema = load_schema("sidecar")
    yield from ("# The sidecar", "", schema["description"], "")
    yield "Give a key as a column of the scans table of the same name, or inline under `metadata`;"
    yield "one that all images share, under `sidecar_defaults` in the manifest. Further values come"
    yield "from the [header](headers.md) of the image. A list is written with semicolons:"
    yield "`1.8;1.8;4`."
    yield ""
    yield from _properties(schema, "Key")
    for key, others in schema.get("dependentRequired", {}).items():
        yield from ("", f"`{key}` needs {', '.join(f'`{other}`' for other in others)} beside it.")


def formats_lines() -> Iterator[str]:
    """Yield the page on source formats."""
    yield from ("# Source formats", "", "Recognised by name and kind of file.", "")
    rows = (
        (
            f.name,
            ", ".join(f"`{ending}`" for ending in f.endings) or "any",
            "directory" if f.directory else "file",
            ", ".join(f"`{mine}`" for mine in dict.fromkeys(f.extensions.values()))
            or "converted only",
        )
        for f in FORMATS
    )
    yield from _table(("Format", "Endings", "Is a", "Becomes"), rows)
    yield from ("", "## What can be done with each", "")
    header, *matrix = matrix_rows()
    yield from _table(header, matrix)
    yield ""
    yield "A `yes` for a backend means that the dataset gets the image in its own format; `linked`"
    yield "that it gets a link, or a copy with `others=copy`. `not alone` means that a warning says"
    yield "that the file that describes the image stays behind. An OME-TIFF in several files is"
    yield "always converted. An OME-Zarr is made of the image's `own files`, which are unpacked,"
    yield "of its `own chunks`, moved level by level, or of `new chunks` with smaller levels."
    yield "[Convert images](../how-to/convert-images.md#what-becomes-of-an-image) has more, and"
    yield "[headers](headers.md#where-it-stands) lists the values that complete a row."
    yield from ("", "## How each is recognised", "")
    yield "An OME-TIFF in BigTIFF becomes `.ome.btf`. Images in formats that BIDS does not know"
    yield "are packaged, and listed in `.bidsignore` together with their sidecars, so that"
    yield "validators ignore them."
    yield ""
    yield "A folder of any other name is an OME-Zarr if it holds `zarr.json`, `.zattrs` or"
    yield "`.zgroup`. Of one that holds several images (bioformats2raw, a plate), the column"
    yield "`scene` chooses one, by the path of its folder: `0`, or `A/1/0`."
    yield ""
    *several, last = (form.name for form in FORMATS if form.has_scenes)
    yield f"A file of {', '.join(several)} or {last} may hold several images. The column"
    yield "`scene` chooses one by its number, from 0, or its name."
    yield ""
    planes = ", ".join(f"`{ending}`" for ending in PLANE_ENDINGS)
    yield f"A folder of planes holds an image in one file for each plane ({planes}). The numbers in"
    yield "their names say which is which: if one number varies, it counts planes; if several do,"
    yield "`Z`, `C` or `ch`, and `T` must stand before them, as in `C0_Z0001.tif`. No number may be"
    yield "missing, all planes must have one size and type, and no other picture may lie there."
    yield "Other files do not matter. Only a backend that converts, such as `ome-zarr`, takes it."
    yield ""
    yield "A Thorlabs RAW file needs the `Experiment.xml` of ThorImage, or a YAML file with its"
    yield "sizes, beside it. CZI needs the extra `czi`, which brings the library of Zeiss (LGPL);"
    yield "ND2 and LIF need the extras `nd2` and `lif`."
    yield ""
    yield "A DCIMG file does not say what its frames are, nor how far apart. They are taken"
    yield "for planes along z; `--source-axes TYX`, or the column `axes`, says that they are times."
    yield "Give the size of voxels: [read camera files](../how-to/read-camera-files.md)."
    yield ""
    yield "Other files are read by bioio where the column `reader`, or `--reader`, asks for it: see"
    yield "[files of other formats](../how-to/convert-images.md#files-of-other-formats)."
    yield ""
    yield "Times are no count: if even the smallest number has 8 digits or more, as in"
    yield "`scan_20240101120000.tif`, the numbers only put the planes in order, and a gap between"
    yield "them is no missing plane. Smaller numbers count, and a gap is an error that says how"
    yield "many planes are missing."


def cli_lines() -> Iterator[str]:
    """Yield the page on the command line."""
    parser = build_parser()
    yield from ("# The command line", "", str(parser.description), "")
    yield "The tasks can be run by `luigi --module spimpack_tasks` as well; `PackageDataset` takes"
    yield "the options of `spimpack package`. Exit codes: [exit-codes.md](exit-codes.md)."
    for name, command in whole_parsers(parser).items():
        yield from ("", f"## spimpack {name}", "", _sentence(str(command.description)), "")
        nested = nested_parsers(command)
        if not nested:
            yield from _arguments(command)
        for action, parser_of in nested.items():
            yield from ("",) * (action != next(iter(nested)))
            yield from (f"### spimpack {name} {action}", "")
            yield from (_sentence(str(parser_of.description)), "")
            yield from (f"`{str(parser_of.epilog).removeprefix('example: ')}`", "")
            yield from _arguments(parser_of)


def report_lines() -> Iterator[str]:
    """Yield the page on the report as JSON."""
    schema = load_schema("report")
    yield from ("# The report as JSON", "", schema["description"], "")
    yield "The schema is `spimpack_tasks/schemas/report.schema.json`. Keys may be added in later"
    yield "versions; those that are here keep their meaning."
    yield from ("", *_keys(schema))
    for name, inner in schema["properties"].items():
        for path, part in _objects(f"`{name}`", inner):
            yield from ("", f"## {path}", "", *_keys(part))


def _keys(schema: dict[str, Any]) -> Iterator[str]:
    rows = (
        (f"`{name}`", _json_type(inner), inner["description"])
        for name, inner in schema["properties"].items()
    )
    return _table(("Key", "Type", "Meaning"), rows)


def _objects(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what of a schema is an object with keys of its own, with its path."""
    if "items" in schema:
        path, schema = f"An item of {path}", schema["items"]
    if "properties" in schema:
        yield path, schema
        for name, inner in schema["properties"].items():
            if "items" in inner and "properties" in inner["items"]:
                yield from _objects(f"`{name}` of {path}", inner)


def _json_type(schema: dict[str, Any]) -> str:
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{v}`" for v in schema.get("enum", [schema.get("const")]))
    kinds = schema["type"]
    return " or ".join([kinds] if isinstance(kinds, str) else kinds)


def exit_codes_lines() -> Iterator[str]:
    """Yield the page on exit codes."""
    doc, _, _ = str(errors.ExitCode.__doc__).partition("\n")
    yield from ("# Exit codes", "", doc, "")
    yield from exit_code_table()
    yield ""
    yield "`luigi` has one code for all failed tasks, and counts the work of another process as not"
    yield "done. So the codes that your own configuration leaves open under `[retcode]` are decided"
    yield "by the state of the dataset at the end of the run; the highest code that applies"
    yield "counts. For runs with tasks of other packages, see"
    yield "[package in your own flow](../how-to/package-in-your-own-flow.md)."
    yield "`spimpack verify` exits 3 if something differs from the record, and 4 if there is no"
    yield "record, or with `--checksum full` no checksum, to compare with."
    yield "`spimpack bids-validate` exits 8 if a dataset from any program is not valid BIDS."
    yield "`spimpack doctor` exits 4 if something necessary is broken."
    yield "`argparse` itself exits 2 where the command line cannot be understood, and an"
    yield "interrupted `spimpack` exits 130."


def exit_code_table() -> list[str]:
    """Return the table of exit codes, which the README has as well."""
    docs = _member_docs(errors.ExitCode)
    rows = ((str(int(code)), f"`{code.name}`", docs[code.name]) for code in errors.ExitCode)
    return list(_table(("Code", "Name", "Meaning"), rows))


def _page(lines: Iterable[str]) -> str:
    return "\n".join([NOTE, "", *lines]) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(header)
    yield _row(["---"] * len(header))
    yield from (_row(row) for row in rows)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _properties(schema: dict[str, Any], title: str) -> Iterator[str]:
    required = schema.get("required", [])
    rows = (
        (
            f"`{name}`",
            "yes" if name in required else "",
            describe_form(inner),
            inner.get("description", ""),
        )
        for name, inner in schema["properties"].items()
    )
    return _table((title, "Required", "Form", "Meaning"), rows)


def describe_form(schema: dict[str, Any]) -> str:
    """Return in words what values a schema allows."""
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    kinds = schema.get("type", "string")
    given = [kinds] if isinstance(kinds, str) else [kind for kind in kinds if kind != "null"]
    words = [_kind(kind, schema) for kind in given]
    form = " or ".join(words)
    examples = [f"`{example}`" for example in schema.get("examples", [])]
    return f"{form}, such as {', '.join(examples)}" if examples else form


def _kind(kind: str, schema: dict[str, Any]) -> str:
    if kind == "array":
        least, most = schema.get("minItems"), schema.get("maxItems")
        count = f"{least} to {most} " if most else ""
        return f"list of {count}{_plural(describe_form(schema.get('items', {})))}"
    if kind == "object":
        return "mapping"
    if kind == "boolean":
        return "true or false"
    if kind == "number":
        return "positive number" if schema.get("exclusiveMinimum") == 0 else "number"
    if kind == "integer":
        return "whole number"
    pattern = schema.get("pattern", NOT_BLANK)
    return "text" if pattern == NOT_BLANK else f"text like `{pattern}`"


def _plural(words: str) -> str:
    first, *rest = words.split(" of ", 1)
    many = first if first.startswith("text") else f"{first}s"
    return " of ".join([many, *rest])


def _path_pattern() -> str:
    first, *rest = ((f"{e.short}-<{e.name}>", e.required) for e in ENTITIES)
    name = first[0] + "".join(f"_{part}" if needed else f"[_{part}]" for part, needed in rest)
    return f"sub-<subject>/[ses-<session>/]micr/{name}_SPIM<extension>"


def _arguments(command: argparse.ArgumentParser) -> Iterator[str]:
    actions = [a for a in command._actions if a.dest != "help"]  # noqa: SLF001 - there is no public way
    rows = (
        (_spelling(action), "yes" if action.required else "", action.help or "")
        for action in actions
    )
    return _table(("Argument", "Required", "Meaning"), rows)


def _spelling(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else ""
    if action.choices:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    if isinstance(action, argparse.BooleanOptionalAction):
        return ", ".join(f"`{option}`" for option in action.option_strings)
    return f"`{' '.join([*action.option_strings[:1], value]).strip()}`"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].removesuffix(".") + "."


def _member_docs(cls: type) -> dict[str, str]:
    """Return the text that stands below each member of a class."""
    body = ast.parse(inspect.getsource(cls)).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class is one
    docs = {}
    for member, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(below, ast.Expr):
            name, text = member.targets[0], below.value
            if isinstance(name, ast.Name) and isinstance(text, ast.Constant):
                docs[name.id] = inspect.cleandoc(str(text.value)).replace("\n", " ")
    return docs


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for file_name, page in pages().items():
        (REFERENCE / file_name).write_text(page, encoding="utf-8")
        print(REFERENCE / file_name)
