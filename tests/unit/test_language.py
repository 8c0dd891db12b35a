"""The language of pages, messages and docstrings: plain words, no private ones.

`python tests/unit/test_language.py FOLDER` lists what is to be edited.
"""

import ast
import re
import sys
from pathlib import Path

import pytest
from markdown_blocks import ROOT

CLEAN = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "RELEASING.md",
    "SECURITY.md",
    "docs",
    "spimpack_tasks",
]
"""Pages, and folders of pages or of modules, in which nothing is found."""

LATER = {"spimpack_tasks/demo/dataset.py"}
"""The demo: the bytes of its manifest are recorded."""

PHRASES = {
    r"\bg(?:o|oes|one|oing) on with\b": "resume, continue",
    r"\bhow manieth\b": "the sampling stride",
    r"\bis nothing that\b": "is not a valid ...",
    r"\b(?:told|tells?|said|says?) of\b": "report, describe, show",
    r"\bheld against\b": "compared with",
    r"\bwhat is to be\b": "name the thing",
    r"\bwhat (?:is )?(?:done|gone|alike|cannot be)\b": "name the thing: finished parts, ...",
    r"\bwho(?:so)?ever\b": "anyone who, all",
    r"\bwhatever\b": "any, every",
    r"\bbut for\b": "except, apart from",
    r"\banew\b": "again",
    r"\bbegun\b": "started, created",
    r"\bsomebody\b": "someone, another",
    r"\b(?<!is )(?<!stands )in the way of\b": "like",
    r"\bby way of\b": "through",
    r"\bas good as\b": "almost",
    r"\bdone without\b": "works without",
    r"\bcomes? of it\b": "the result",
    r"\bhow man(?:y|ieth) of\b": "the number of",
}
"""Phrases that are not English as it is spoken, and what to write."""

WORDS = {
    r"\bdesks?\b": "editor",
    r"\bleash\b": "supervisor",
    r"\btall(?:y|ies)\b": "progress, counts",
    r"\bseal(?:s|ed|ing)?\b": "snapshot",
    r"\bsettled\b": "up to date",
    r"\black of room\b": "missing disk space",
    r"\btroubles?\b": "error, damage",
    r"\bphantoms?\b(?! of)": "test image",
    r"\bskeletons?\b": "mirror",
}
"""Private words, and the word for it. Those in backquotes are names on disk, and may stay."""

CLAUSE = re.compile(
    r"(?:(?<=[.!?:] )|(?<=\n\n)|(?<=\n- )|\A)((?:What|Who|Whatever|Whoever)\b[^.?!:]*[.?!:])"
)
"""A sentence that begins with a clause in place of a noun; questions are let through."""


def prose_of_page(text: str) -> str:
    """Return a page without what is code or written by a program, with as many lines."""

    def blank(match: re.Match[str]) -> str:
        return "\n" * match[0].count("\n")

    text = re.sub(r"^```.*?^```\s*?$", blank, text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^ +```.*?^ +```\s*?$", blank, text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^<!-- CASES.*?^<!-- end -->", blank, text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "`x`", text)


def prose_of_module(text: str) -> str:
    """Return docstrings, comments and messages of a module, each at its line."""
    lines = [""] * (text.count("\n") + 2)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for number, line in enumerate(node.value.split("\n"), node.lineno):
                if number < len(lines):
                    lines[number] += " " + line
    for number, line in enumerate(text.split("\n"), 1):
        comment = re.search(r"(?:^|\s)# (.*)$", line)
        lines[number] += " " + comment[1] if comment else ""
    return re.sub(r"`[^`\n]*`", "`x`", "\n".join(line.strip() for line in lines[1:]))


def newest(text: str) -> str:
    """Return a changelog up to the end of its first section."""
    return text[: text.find("\n## ", text.find("\n## ") + 1)] if text.count("\n## ") > 1 else text


def is_written_by_program(text: str) -> bool:
    return text.startswith("<!-- Written by")


def findings(path: Path) -> list[str]:
    """Return what is to be edited in a page or module, as `file:line: found: what to write`."""
    text = path.read_text(encoding="utf-8")
    if is_written_by_program(text):
        return []
    prose = prose_of_module(text) if path.suffix == ".py" else prose_of_page(newest(text))
    if path.name == "CONTRIBUTING.md":
        prose = re.sub(r"^\| [^|]* \| [^|]* \|$", "", prose, flags=re.MULTILINE)
    found = []
    found = [
        (match.start(), match[0], instead)
        for pattern, instead in (PHRASES | WORDS).items()
        for match in re.finditer(pattern, prose, re.IGNORECASE)
    ]
    sentences = re.sub(r"^(?:#|\|).*$", lambda line: " " * len(line[0]), prose, flags=re.MULTILINE)
    found += [
        (match.start(), match[1][:40], "begin with the subject")
        for match in CLAUSE.finditer(sentences)
        if not match[1].endswith("?")
    ]
    name = path.relative_to(ROOT)
    return [f"{name}:{prose.count(chr(10), 0, at) + 1}: {what!r}: {why}" for at, what, why in found]


def files_of(name: str) -> list[Path]:
    path = ROOT / name
    found = sorted([*path.rglob("*.md"), *path.rglob("*.py")]) if path.is_dir() else [path]
    return [each for each in found if str(each.relative_to(ROOT)) not in LATER]


@pytest.mark.parametrize("name", CLEAN)
def test_words_are_plain(name):
    assert [line for path in files_of(name) for line in findings(path)] == []


PRIVATE_NAME = re.compile(
    r"(?:\A|_)(?:desks?|leash|rooms?|tall(?:y|ies)|troubles?|seal(?:s|ed)?|skeletons?)(?:\Z|_)"
)
OLD_NAMES = {"least_room"}
"""Backends of other packages may still have them, see `packaging.backends.classes`."""


def names_in(path: Path) -> set[str]:
    names = {path.stem}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name):
            names.add(node.id)
    return {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in names}


def test_names_of_the_program_are_plain():
    """Those of the glossary's table of words that are not names here."""
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / "spimpack_tasks").rglob("*.py"))
        for name in names_in(path) - OLD_NAMES
        if PRIVATE_NAME.search(name)
    }
    assert found == set()


def glossary(title: str) -> list[tuple[str, str]]:
    """Return the words and meanings of a table of the glossary."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page.partition(f"### {title}\n")[2].partition("\n#")[0]
    rows = [line.strip("| ").split(" | ", 1) for line in table.splitlines() if line[:1] == "|"]
    return [(word, meaning) for word, meaning in rows[2:]]


@pytest.mark.parametrize("title", ["Words of the field", "Our words"])
def test_the_glossary_has_each_word_once_and_in_order(title):
    words = [re.sub("[^a-z ]", "", word.lower()) for word, _ in glossary(title)]
    assert words
    assert words == sorted(set(words))


def test_the_glossary_names_classes_that_are_there():
    modules = [path.read_text("utf-8") for path in (ROOT / "spimpack_tasks").rglob("*.py")]
    classes = set(re.findall(r"^class (\w+)", "\n".join(modules), re.MULTILINE))
    meanings = " ".join(meaning for _, meaning in glossary("Our words"))
    named = set(re.findall(r"`(?:[a-z_]+\.)*([A-Z][a-z]\w+)`", meanings))
    assert named <= classes
    assert "ManifestEditor" in named


FOUND = {
    "goes on with": "A run goes on with it.",
    "clause": "What is not known is left out.",
    "clause behind a sentence": "It ends. Who wants it takes it.",
    "private word": "The desk opens a file.",
    "across no lines": "Whoever makes it.",
}
LET_THROUGH = {
    "question": "What next?",
    "name on disk": "The file `seal` may be deleted.",
    "block": "```sh\nwhatever\n```",
    "heading": "# What a run did",
    "inside a sentence": "It shows what a run did.",
}


@pytest.mark.parametrize("text", FOUND.values(), ids=list(FOUND))
def test_is_found(text, tmp_path, monkeypatch):
    assert findings_of(text, tmp_path, monkeypatch)


@pytest.mark.parametrize("text", LET_THROUGH.values(), ids=list(LET_THROUGH))
def test_is_let_through(text, tmp_path, monkeypatch):
    assert findings_of(text, tmp_path, monkeypatch) == []


def test_modules_are_read_for_docstrings_comments_and_messages(tmp_path, monkeypatch):
    module = """\
'''It is told of.'''

desk = 1
x = "told of it"  # the top of a desk
y = f"held against {x}"
"""
    lines = [line.split(":")[1] for line in findings_of(module, tmp_path, monkeypatch, "m.py")]
    assert sorted(lines) == ["1", "4", "4", "5"]


def findings_of(text, folder, monkeypatch, name="page.md"):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", folder)
    path = folder / name
    path.write_text(text)
    return findings(path)


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        for each in files_of(folder):
            sys.stdout.writelines(f"{line}\n" for line in findings(each))
