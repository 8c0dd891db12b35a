"""Reads the fenced blocks of a Markdown page, and runs those that are commands.

    ```sh                 is run by bash; it must exit 0
    ```sh exits 2         is run by bash; it must exit 2
    ```text               right after it: what the command printed
    ```yaml manifest.yml  (or any kind with a file name) is written to that file

Other blocks are for reading.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
HOME = "/home/ada/study"
"""Where pages pretend to be."""


@dataclass
class Block:
    kind: str
    rest: list[str]
    text: str
    line: int


@dataclass
class Transcript:
    """What the page says was printed, and what was."""

    claimed: dict[int, str] = field(default_factory=dict)
    printed: dict[int, str] = field(default_factory=dict)


def read_blocks(page):
    """Return the blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    blocks = []
    for match in BLOCK.finditer(text):
        kind, *rest = match["info"].split() or [""]
        blocks.append(Block(kind, rest, match["text"], text[: match.start()].count("\n") + 1))
    return blocks


def run_page(page, folder, environment=None, replaced=None):
    """Run a page in a folder, and return what it said and what happened, by line.

    `replaced` has texts of commands, such as a port, that must be others on this machine.
    """
    transcript = Transcript()
    output, line = None, 0
    for block in read_blocks(page):
        for text, other in (replaced or {}).items():
            block.text = block.text.replace(text, other)
        if block.kind == "sh":
            output, line = run_block(block, folder, environment or {}), block.line
            continue
        if block.kind == "text" and output is not None:
            transcript.claimed[line], transcript.printed[line] = block.text, output
        elif block.rest and "." in block.rest[0]:
            (folder / block.rest[0]).write_text(block.text, encoding="utf-8")
        output = None
    return transcript


def run_block(block, folder, environment):
    """Run one block of commands, and return what it printed."""
    wanted = int(block.rest[1]) if block.rest[:1] == ["exits"] else 0
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=folder,
        env=environment_of_tests() | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = f"line {block.line}: {block.text}exited {done.returncode}:\n{done.stdout}"
    assert done.returncode == wanted, said
    return done.stdout.replace(str(folder.resolve()), HOME).replace(str(folder), HOME)


def environment_of_tests():
    """Return the environment in which `spimpack` and `luigi` are those of this Python."""
    programs = os.path.dirname(sys.executable)
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100"}


def refresh_page(page, transcript):
    """Put what was printed into a page, in place of what it claims."""
    lines = page.read_text(encoding="utf-8").split("\n")
    for start in sorted(transcript.claimed, reverse=True):
        first = next(i for i in range(start, len(lines)) if lines[i].startswith("```text")) + 1
        last = lines.index("```", first)
        lines[first:last] = transcript.printed[start].splitlines()
    page.write_text("\n".join(lines), encoding="utf-8")
