"""Runs the code cells of a notebook as Jupyter does, in a plain Python.

    python tests/support/notebook_cells.py NOTEBOOK

prints the notebook with the outputs that the cells have now. They are run in the current folder: a
cell's printed text is one output, and the value of its last line another, as a picture if it is
one. Magics of IPython are not known here.
"""

import ast
import base64
import contextlib
import io
import json
import sys
from pathlib import Path


def run_cells(notebook):
    """Run all code cells of a notebook in order, and put their outputs into it."""
    names = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, 1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            value = _run("".join(cell["source"]), names)
        cell["execution_count"] = number
        cell["outputs"] = [*_stream(printed.getvalue()), *_result(value, number)]


def _run(source, names):
    """Run the code of a cell, and return the value of its last line if that is an expression."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)


def _stream(text):
    if text:
        yield {"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}


def _result(value, number):
    if value is None:
        return
    data = {"text/plain": [repr(value)]}
    if hasattr(value, "_repr_png_"):
        picture = base64.b64encode(value._repr_png_()).decode("ascii")
        data = {"image/png": picture, "text/plain": ["a picture"]}
    yield {
        "data": data,
        "execution_count": number,
        "metadata": {},
        "output_type": "execute_result",
    }


def as_text(notebook):
    """Return a notebook as its file has it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    wanted = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    run_cells(wanted)
    sys.stdout.write(as_text(wanted))
