"""Numbers of objects that a run has sent, adopted and deleted."""

from __future__ import annotations

from typing import NamedTuple


class Counts(NamedTuple):
    """Numbers of objects."""

    sent: int = 0
    adopted: int = 0
    """There already with equal content."""
    deleted: int = 0

    def plus(self, other: Counts) -> Counts:
        """Return the sums."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))

    def in_words(self) -> str:
        """Return the numbers that are not zero, and always that of the sent ones."""
        words = [f"{self.sent:,} sent"]
        words += [f"{self.adopted:,} adopted"] if self.adopted else []
        words += [f"{self.deleted:,} deleted"] if self.deleted else []
        return ", ".join(words)
