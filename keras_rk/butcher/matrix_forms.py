"""The forms in which people write A down, each of which can be read in one way only.

The number s of weights decides between them: `[[a], [b, c]]` are the first two rows of A down to
the diagonal where there are two weights, and rows 2 and 3 below it where there are three.
"""

from __future__ import annotations

from typing import Any

__all__ = ["FORMS", "fits", "is_whole", "lacks_first_row", "square"]

FORMS = """`A` has as many columns as rows, or a shorter form; for three stages:
    [[a11, a12, a13], [a21, a22, a23], [a31, a32, a33]]  s x s
    [[a11], [a21, a22], [a31, a32, a33]]                 down to the diagonal
    [[0, 0], [a21, 0], [a31, a32]]                       explicit, without the last column
    [[], [a21], [a31, a32]]                              explicit, below the diagonal
    [[a21], [a31, a32]]                                  explicit, without the first row
"""


def fits(lengths: list[int], stages: int) -> bool:
    """Whether rows of these lengths are a form of A for so many stages."""
    return lengths in (
        [stages] * stages,
        [*range(1, stages + 1)],
        [stages - 1] * stages,
        [*range(stages)],
        [1, *range(1, stages)],  # below the diagonal, the first row written as [0]
        [*range(1, stages)],
    )


def is_whole(lengths: list[int]) -> bool:
    """Whether rows of these lengths are all of A whatever the number of weights."""
    stages = len(lengths)
    return lengths in ([stages] * stages, [*range(stages)])


def lacks_first_row(rows: list[list[Any]], stages: int) -> bool:
    """Whether the rows are those of stages 2 to s."""
    return len(rows) == stages - 1


def square(rows: list[list[Any]], stages: int, zero: Any) -> list[list[Any]]:
    """All rows with all columns, from rows that fit."""
    every = [[], *rows] if lacks_first_row(rows, stages) else rows
    return [row + [zero] * (stages - len(row)) for row in every]
