"""Numbers with square roots beside each other, and beside every other class of numbers."""

from __future__ import annotations

import itertools
import math
import operator
from decimal import Decimal
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import sympy

from keras_rk.errors import TableauError
from keras_rk.numbers.coefficients import exact
from keras_rk.numbers.square_roots import Surd

ROOTS = [
    "sqrt(2)",
    "-sqrt(2)",
    "sqrt(2)*1e-12",
    "sqrt(2) - 665857/470832",  # -1.6e-12
    "sqrt(3)/3",
    "sqrt(2) + sqrt(3)",
    "sqrt(5 + 2*sqrt(6))",  # the same, from other roots
    "sqrt(2 - sqrt(2 - sqrt(2)))",
    "sqrt(2) - 1.4142135623730950488016887242096980785696718753769480731",  # 8e-56
]
OTHERS = [
    0,
    1,
    -2,
    True,
    Fraction(1, 2),
    Fraction(-665857, 470832),
    Fraction(math.isqrt(2 * 10**80), 10**40),
    Decimal("1.4142135623730951"),
    Decimal(-1),
    math.sqrt(2),
    -0.5,
    1e300,
    math.inf,
    -math.inf,
    np.float64(math.sqrt(2)),
    np.float32(0.5),
    np.int64(1),
    sympy.Rational(1, 2),
    sympy.Integer(3),
    sympy.sqrt(3),
]
RELATIONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
OPERATIONS = [operator.add, operator.sub, operator.mul, operator.truediv]
BESIDE = [*map(exact, ROOTS), *OTHERS]


def shown(x):
    return f"{type(x).__name__} {x}"[:30]


def reference(x):
    """The number as SymPy has it, exactly."""
    if isinstance(x, Surd):
        return x.to_sympy()
    if isinstance(x, float | Decimal | np.floating) and math.isfinite(x):
        return sympy.Rational(*map(int, x.as_integer_ratio()))
    return sympy.sympify(int(x) if isinstance(x, bool | np.integer) else x)


@cache
def digits(x):
    return sympy.N(x, 90)


def order(x, y):
    difference = digits(reference(x)) - digits(reference(y))
    return 0 if abs(difference) < sympy.Float("1e-80") else int(sympy.sign(difference))


@pytest.mark.parametrize("text", ROOTS)
@pytest.mark.parametrize("other", BESIDE, ids=shown)
def test_comparisons_are_exact_in_both_orders(text, other):
    root, sign = exact(text), order(exact(text), other)
    assert [bool(holds(root, other)) for holds in RELATIONS] == [r(sign, 0) for r in RELATIONS]
    assert [bool(holds(other, root)) for holds in RELATIONS] == [r(0, sign) for r in RELATIONS]


@pytest.mark.parametrize("nan", [math.nan, np.float64("nan"), np.float32("nan"), Decimal("nan")])
def test_nothing_is_ordered_beside_nan(nan):
    root = exact("sqrt(2)")
    relations = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq)
    assert not any(holds(root, nan) for holds in relations)


@pytest.mark.parametrize(
    "other", ["1", None, [1], 1j, pytest.param(object(), id="object")], ids=shown
)
def test_what_is_no_real_number_is_neither_equal_nor_ordered(other):
    root = exact("sqrt(2)")
    assert root != other
    for first, second in ((root, other), (other, root)):
        with pytest.raises(TypeError):
            assert first < second


def test_sorting_and_extremes_over_all_classes():
    numbers = [x for x in BESIDE if not isinstance(x, sympy.Basic)]
    ordered = sorted(numbers)
    assert all(order(x, y) <= 0 for x, y in itertools.pairwise(ordered))
    assert (min(ordered[::-1]), max(ordered[::-1])) == (-math.inf, math.inf)


@pytest.mark.parametrize("text", ROOTS[::3])
@pytest.mark.parametrize("other", BESIDE, ids=shown)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_exact_numbers_compute_exactly_and_floats_in_floats(text, other, operation):
    root = exact(text)
    for x, y in ((root, other), (other, root)):
        if operation is operator.truediv and y == 0:
            with pytest.raises((TableauError, ZeroDivisionError)):
                assert operation(x, y)
            continue
        found = operation(x, y)
        if isinstance(other, float | np.floating):
            assert isinstance(found, float | np.floating)
            assert found == pytest.approx(operation(float(x), float(y)), rel=1e-6)
        else:
            assert isinstance(found, Surd | Fraction | sympy.Basic)
            assert order(found, operation(reference(x), reference(y))) == 0


@pytest.mark.parametrize("text", ROOTS)
def test_signs(text):
    root = exact(text)
    assert abs(root) == abs(-root) == max(root, -root)
    assert abs(root) > 0
    assert +root is root
    assert root + -root == 0
    assert root * 1j == complex(0, float(root))


@pytest.mark.parametrize("first, second", itertools.combinations([*ROOTS, "1/2"], 2))
def test_equal_numbers_have_equal_hashes(first, second):
    x, y = exact(first), exact(second)
    assert (x == y) is (len({x, y}) == 1)


def test_numbers_beyond_floats_are_ordered_and_hashed():
    huge = exact("sqrt(2)*1e290") * Fraction(10) ** 50
    assert huge > 10**340 > -huge
    assert huge > 1e308
    assert len({huge, -huge, huge + 0}) == 2
    with pytest.raises(OverflowError):
        float(huge)


def test_sympy_takes_the_number_itself_and_not_a_float():
    total = sympy.Symbol("x") + exact("sqrt(2)")
    assert total == sympy.Symbol("x") + sympy.sqrt(2)
