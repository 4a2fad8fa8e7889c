"""The families of methods with as many stages as their order: 2, 3 and 4."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from keras_rk.butcher.tableau import Tableau
from keras_rk.numbers.coefficients import Coefficient
from keras_rk.tableaux.parameters import coefficient, refuse

__all__ = ["fourth_order", "second_order", "third_order"]

ONE = Fraction(1)
_SOURCE = "J. C. Butcher, Numerical Methods for Ordinary Differential Equations (2008)"
_KUTTA = "W. Kutta, Beitrag zur näherungsweisen Integration totaler Differentialgleichungen (1901)"


def second_order(alpha: Any) -> Tableau:
    """All methods of order 2 with two stages.

        0     |
        alpha | alpha
        ------+---------------------------------
              | 1 - 1/(2 alpha)    1/(2 alpha)

    alpha = 1/2 is `midpoint`, 2/3 is `ralston2`, 1 is `heun2`.

    Args:
        alpha: the second node, not zero; a number or an expression in SymPy symbols.

    Raises:
        TableauError: where alpha is zero or no coefficient.

    Example:

    >>> print(second_order("3/4"))
    second_order(3/4)
      0 │
    3/4 │ 3/4
    ────┼─────────
        │ 1/3  2/3
    """
    node = coefficient(alpha, "alpha", symbolic=True)
    if not node:
        raise refuse("The second node of a method of order 2 is not zero.", alpha=node)
    last = ONE / (2 * node)
    return Tableau(
        [[], [node]],
        [1 - last, last],
        claimed_order=2,
        name=_called("second_order", node),
        source=_SOURCE,
    )


def third_order(c2: Any, c3: Any, weight: Any = None) -> Tableau:
    """All methods of order 3 with three stages.

    The nodes decide the method, by

        sum b_i = 1,   sum b_i c_i = 1/2,   sum b_i c_i^2 = 1/3,   b_3 a_32 c_2 = 1/6,

    but for two special cases, in which the weight b_3 stays free: c_2 = c_3 = 2/3, and
    c_2 = 2/3, c_3 = 0. `kutta3` has the nodes 1/2, 1; `heun3` 1/3, 2/3; `ralston3` 1/2, 3/4;
    `ssprk33` 1, 1/2.

    Args:
        c2: the second node; a number or an expression in SymPy symbols.
        c3: the third node, likewise.
        weight: b_3, not zero, in the special cases and only there.

    Raises:
        TableauError: where no method of order 3 has these nodes, or a weight is missing or given
            without need.

    Example:

    >>> print(third_order("2/3", "2/3", weight="3/8"))
    third_order(2/3, 2/3, 3/8)
      0 │
    2/3 │ 2/3
    2/3 │   0  2/3
    ────┼──────────────
        │ 1/4  3/8  3/8
    """
    x, y = coefficient(c2, "c2", symbolic=True), coefficient(c3, "c3", symbolic=True)
    special = x == Fraction(2, 3) and y in (0, x)
    b3 = _free_weight(weight, special, "third_order", x, y)
    if special:
        b2 = Fraction(3, 4) - (b3 if y else 0)
    elif not x or not y or x == y or x == Fraction(2, 3):
        raise refuse(
            "A method of order 3 has nodes c2, c3 that differ and are not zero, and c2 is not 2/3 "
            "(or c2 = c3 = 2/3, or c2 = 2/3 and c3 = 0).",
            c2=x,
            c3=y,
        )
    else:
        b2 = (3 * y - 2) / (6 * x * (y - x))
        b3 = (2 - 3 * x) / (6 * y * (y - x))
    a32 = ONE / (6 * b3 * x)
    return Tableau(
        [[], [x], [y - a32, a32]],
        [1 - b2 - b3, b2, b3],
        claimed_order=3,
        name=_called("third_order", x, y, *([b3] if special else [])),
        source=_SOURCE,
    )


def fourth_order(c2: Any, c3: Any, weight: Any = None) -> Tableau:
    """All methods of order 4 with four stages.

    The last node is 1. The other two decide the method (Kutta's two parameters), but for three
    special cases, in which one weight stays free:

        c_2 = c_3 = 1/2,   b_3 free;       c_2 = 1/2, c_3 = 0,   b_3 free;
        c_2 = 1, c_3 = 1/2,   b_4 free.

    `rk4` has the nodes 1/2, 1/2 and b_3 = 1/3, `gill4` b_3 = (2 + sqrt(2))/6; `rk38` has the nodes
    1/3, 2/3.

    Args:
        c2: the second node; a number or an expression in SymPy symbols.
        c3: the third node, likewise.
        weight: the free weight, not zero, in the special cases and only there.

    Raises:
        TableauError: where no method of order 4 has these nodes, or a weight is missing or given
            without need.

    Example:

    >>> print(fourth_order("1/3", "2/3"))
    fourth_order(1/3, 2/3)
      0 │
    1/3 │  1/3
    2/3 │ -1/3    1
      1 │    1   -1    1
    ────┼────────────────────
        │  1/8  3/8  3/8  1/8
    """
    x, y = coefficient(c2, "c2", symbolic=True), coefficient(c3, "c3", symbolic=True)
    half = Fraction(1, 2)
    special = (x == half and y in (0, half)) or (x == 1 and y == half)
    free = _free_weight(weight, special, "fourth_order", x, y)
    a32, a42, a43, b = _special_fourth(x, y, free) if special else _general_fourth(x, y)
    return Tableau(
        [[], [x], [y - a32, a32], [1 - a42 - a43, a42, a43]],
        b,
        claimed_order=4,
        name=_called("fourth_order", x, y, *([free] if special else [])),
        source=_KUTTA,
    )


def _special_fourth(x: Coefficient, y: Coefficient, free: Any) -> tuple[Any, ...]:
    sixth, two_thirds = Fraction(1, 6), Fraction(2, 3)
    if x == 1:
        b = [sixth, sixth - free, two_thirds, free]
        return Fraction(1, 8), -ONE / (12 * free), ONE / (3 * free), b
    if y:
        return sixth / free, 1 - 3 * free, 3 * free, [sixth, two_thirds - free, free, sixth]
    b = [sixth - free, two_thirds, free, sixth]
    return ONE / (12 * free), Fraction(3, 2), 6 * free, b


def _general_fourth(x: Any, y: Any) -> tuple[Any, ...]:
    common = 6 * x * y - 4 * (x + y) + 3
    if not x or not y or x == y or x in (1, Fraction(1, 2)) or y == 1 or not common:
        raise refuse(
            "A method of order 4 has nodes c2, c3 that differ, are neither 0 nor 1, with c2 not 1/2"
            " and 6 c2 c3 - 4 (c2 + c3) + 3 not 0 (or one of the pairs 1/2, 1/2; 1/2, 0; 1, 1/2).",
            c2=x,
            c3=y,
        )
    b2 = (2 * y - 1) / (12 * x * (y - x) * (1 - x))
    b3 = (1 - 2 * x) / (12 * y * (y - x) * (1 - y))
    b4 = common / (12 * (1 - x) * (1 - y))
    a32 = y * (y - x) / (2 * x * (1 - 2 * x))
    a42 = (1 - x) * (x + y - 1 - (2 * y - 1) * (2 * y - 1)) / (2 * x * (y - x) * common)
    a43 = (1 - 2 * x) * (1 - x) * (1 - y) / (y * (y - x) * common)
    return a32, a42, a43, [1 - b2 - b3 - b4, b2, b3, b4]


def _free_weight(weight: Any, special: bool, family: str, x: Any, y: Any) -> Any:
    """The weight that stays free, where one does."""
    if special != (weight is not None):
        raise refuse(
            f"`{family}` takes a weight for the special nodes in its docstring, and only for them.",
            c2=x,
            c3=y,
            weight=weight,
        )
    if weight is None:
        return None
    found = coefficient(weight, "weight", symbolic=True)
    if not found:
        raise refuse("The free weight is not zero.", weight=found)
    return found


def _called(family: str, *parameters: Coefficient) -> str | None:
    """A name where it is short enough to be read."""
    name = f"{family}({', '.join(map(str, parameters))})"
    return name if len(name) <= 100 else family
