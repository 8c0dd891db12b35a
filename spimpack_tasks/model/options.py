"""An option of a stage, described once for the tasks and the command line."""

from __future__ import annotations

from typing import NamedTuple


class Option(NamedTuple):
    """An option of a stage: its default value, and what it is about."""

    default: str | float
    text: str
    """Begins with a small letter and has no full stop, as in the help of the command line."""
    choices: tuple[str, ...] = ()
    is_path: bool = False

    @property
    def description(self) -> str:
        """The text and the choices as a sentence, as Luigi's help has it."""
        choices = f": {', '.join(self.choices)}" if self.choices else ""
        return f"{self.text[0].upper()}{self.text[1:]}{choices}."
