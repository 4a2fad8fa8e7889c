"""Tableaux of known order, and what decides an order without the checker: trees, and series in dt.

Nothing here uses what it tests: trees are nested tuples, elementary weights follow their definition
term by term, and steps are taken with dt as the variable of a power series.
"""

import itertools
import math
from fractions import Fraction
from functools import cache

# --- rooted trees, as sorted tuples of their children --------------------------------------------


@cache
def trees(order):
    """All rooted trees with so many vertices: each forest of order - 1 vertices under a root."""
    return [tuple(sorted(forest)) for forest in _forests(order - 1, order - 1)]


def _forests(vertices, largest):
    """Multisets of trees with so many vertices in all, none with more than `largest`."""
    if not vertices:
        yield ()
        return
    for size in range(min(vertices, largest), 0, -1):
        for count in range(1, vertices // size + 1):
            for chosen in itertools.combinations_with_replacement(trees(size), count):
                for rest in _forests(vertices - size * count, size - 1):
                    yield (*chosen, *rest)


def as_tuple(tree):
    """A `RootedTree` in the same form."""
    return tuple(sorted(map(as_tuple, tree.children)))


def order_of(tree):
    return 1 + sum(map(order_of, tree))


def density(tree):
    return order_of(tree) * math.prod(map(density, tree))


def stage_weights(A, tree):
    """u_i(t) = prod_k sum_j a_ij u_j(t_k)."""
    found = [Fraction(1)] * len(A)
    for child in tree:
        below = stage_weights(A, child)
        found = [
            x * sum((a * u for a, u in zip(row, below, strict=True)), Fraction(0))
            for x, row in zip(found, A, strict=True)
        ]
    return found


def residual(A, b, tree):
    weight = sum((x * u for x, u in zip(b, stage_weights(A, tree), strict=True)), Fraction(0))
    return weight - Fraction(1, density(tree))


def failing(A, b, limit):
    """The order, and the trees of the next one that fail; up to `limit`."""
    for order in range(1, limit + 1):
        broken = [tree for tree in trees(order) if residual(A, b, tree)]
        if broken:
            return order - 1, broken
    return limit, []


# --- methods of known order ----------------------------------------------------------------------


def square(A):
    stages = len(A)
    return [[Fraction(x) for x in row] + [Fraction(0)] * (stages - len(row)) for row in A]


def composed(first, second, part):
    """A step of `part` of dt with the first method and one of the rest with the second."""
    (A, b), (B, d) = first, second
    rest = 1 - part
    above = [[part * x for x in row] + [Fraction(0)] * len(d) for row in A]
    below = [[part * x for x in b] + [rest * x for x in row] for row in B]
    return above + below, [part * x for x in b] + [rest * x for x in d]


def repeated(method, count):
    """So many steps of equal size."""
    found = method
    for done in range(1, count):
        found = composed(found, method, Fraction(done, done + 1))
    return found


def extrapolated(method, counts, power=1):
    """Richardson extrapolation: results with `counts` substeps, weighted so that errors cancel.

    The weights are those of Lagrange's polynomials in 1/count**power at 0: each further count
    raises the order by `power`.
    """
    nodes = [Fraction(1, n**power) for n in counts]
    parts = []
    for i, n in enumerate(counts):
        weight = math.prod(x / (x - nodes[i]) for j, x in enumerate(nodes) if j != i)
        parts.append((weight, repeated(method, n)))
    stages = sum(len(b) for _, (_, b) in parts)
    A, weights = [], []
    for weight, (rows, b) in parts:
        before = len(A)
        for row in rows:
            A.append([Fraction(0)] * before + row + [Fraction(0)] * (stages - before - len(row)))
        weights += [weight * x for x in b]
    return A, weights


def collocation(nodes):
    """A, b, and b_i(theta) from integrals of Lagrange's polynomials; the order from quadrature.

    It is s plus the number of powers x^0, x^1, ... to which prod (x - c_i) is orthogonal on [0, 1].
    """
    integrals = []
    for i, c in enumerate(nodes):
        p = [Fraction(1)]
        for j, d in enumerate(nodes):
            if j != i:
                p = _times(p, [-d / (c - d), 1 / (c - d)])
        integrals.append([x / (k + 1) for k, x in enumerate(p)])
    A = [[_at(p, c) for p in integrals] for c in nodes]
    b = [_at(p, Fraction(1)) for p in integrals]
    order, product = len(nodes), [Fraction(1)]
    for c in nodes:
        product = _times(product, [-c, Fraction(1)])
    while not sum(x / (k + 1) for k, x in enumerate(product)):
        order += 1
        product = [Fraction(0), *product]
    return A, b, integrals, order


def _times(p, q):
    found = [Fraction(0)] * (len(p) + len(q) - 1)
    for (i, x), (j, y) in itertools.product(enumerate(p), enumerate(q)):
        found[i + j] += x * y
    return found


def _at(integral, x):
    return sum((a * x ** (k + 1) for k, a in enumerate(integral)), Fraction(0))


EULER = (square([[]]), [Fraction(1)])
MIDPOINT = (square([[], [Fraction(1, 2)]]), [Fraction(0), Fraction(1)])
HEUN3 = (
    square([[], [Fraction(1, 3)], [0, Fraction(2, 3)]]),
    [Fraction(1, 4), Fraction(0), Fraction(3, 4)],
)
RK4 = (
    square([[], [Fraction(1, 2)], [0, Fraction(1, 2)], [0, 0, 1]]),
    [Fraction(1, 6), Fraction(1, 3), Fraction(1, 3), Fraction(1, 6)],
)
IMPLICIT_MIDPOINT = ([[Fraction(1, 2)]], [Fraction(1)])
KNOWN = ((EULER, 1), (MIDPOINT, 2), (HEUN3, 3), (RK4, 4))


def rational(random, largest=5):
    """A fraction other than 0 and 1, between -largest and largest."""
    while True:
        x = Fraction(
            int(random.integers(-largest * 7, largest * 7 + 1)), int(random.integers(1, 8))
        )
        if x not in (0, 1) and abs(x) <= largest:
            return x


def second_order(random):
    """Two stages, with a random node."""
    alpha = rational(random)
    return square([[], [alpha]]), [1 - 1 / (2 * alpha), 1 / (2 * alpha)]


def third_order(random):
    """Kutta's family of three stages, with random nodes c_2 and c_3."""
    while True:
        u, v = rational(random), rational(random)
        if u != v and u != Fraction(2, 3):
            break
    b2, b3 = (2 - 3 * v) / (6 * u * (u - v)), (2 - 3 * u) / (6 * v * (v - u))
    a32 = 1 / (6 * b3 * u)
    return square([[], [u], [v - a32, a32]]), [1 - b2 - b3, b2, b3]


def fourth_order(random):
    """Kutta's family of four stages, with random nodes c_2 and c_3, by its linear equations."""
    while True:
        u, v = rational(random, 2), rational(random, 2)
        if u != v and 3 - 4 * u - 4 * v + 6 * u * v and 1 - 2 * u:
            break
    b2 = (2 * v - 1) / (12 * u * (v - u) * (1 - u))
    b3 = (1 - 2 * u) / (12 * v * (v - u) * (1 - v))
    b4 = (6 * u * v - 4 * u - 4 * v + 3) / (12 * (1 - u) * (1 - v))
    # b_4 a_43 = b_3 (1 - c_3); b_3 a_32 + b_4 a_42 = b_2 (1 - c_2); b_4 a_43 a_32 c_2 = 1/24
    a43 = b3 * (1 - v) / b4
    a32 = Fraction(1, 24) / (b4 * a43 * u)
    a42 = (b2 * (1 - u) - b3 * a32) / b4
    A = square([[], [u], [v - a32, a32], [1 - a42 - a43, a42, a43]])
    return A, [1 - b2 - b3 - b4, b2, b3, b4]


# --- steps as power series in dt -----------------------------------------------------------------


class Field:
    """y' = f(t, y), with polynomials of random coefficients in t and two components of y."""

    def __init__(self, random, degree, with_time):
        exponents = [
            powers
            for powers in itertools.product(range(degree + 1), repeat=3)
            if sum(powers) <= degree and (with_time or not powers[0])
        ]
        self.terms = [
            {powers: Fraction(int(random.integers(-9, 10)), 4) for powers in exponents}
            for _ in range(2)
        ]
        self.start = [Fraction(int(random.integers(-3, 4)), 3) for _ in range(2)]
        self.degree = degree

    def __call__(self, t, y):
        """Of series, truncated to the length of t."""
        powers = [self._powers(x) for x in (t, *y)]
        found = []
        for terms in self.terms:
            total = [Fraction(0)] * len(t)
            for (i, j, k), coefficient in terms.items():
                product = _cut(_cut(powers[0][i], powers[1][j]), powers[2][k])
                total = [x + coefficient * p for x, p in zip(total, product, strict=True)]
            found.append(total)
        return found

    def _powers(self, x):
        one = [Fraction(1)] + [Fraction(0)] * (len(x) - 1)
        return list(itertools.accumulate([x] * self.degree, _cut, initial=one))


def _cut(x, y):
    """A product of series, to their length."""
    found = [Fraction(0)] * len(x)
    for i, a in enumerate(x):
        if a:
            for j, b in enumerate(y[: len(x) - i]):
                found[i + j] += a * b
    return found


def solution(field, length):
    """y(dt) as a series: each coefficient of f gives the next one of y."""
    t = [Fraction(0), Fraction(1), *[Fraction(0)] * (length - 2)]
    y = [[x] + [Fraction(0)] * (length - 1) for x in field.start]
    for n in range(length - 1):
        slopes = field(t, y)
        for component, slope in zip(y, slopes, strict=True):
            component[n + 1] = slope[n] / (n + 1)
    return y


def step(field, A, b, c, length):
    """The method's result as a series; implicit stages gain a power of dt with each turn."""
    times = [[Fraction(0), Fraction(x), *[Fraction(0)] * (length - 2)] for x in c]
    start = [[x] + [Fraction(0)] * (length - 1) for x in field.start]
    k = [[[Fraction(0)] * length for _ in start] for _ in b]

    def moved(weights):
        """y + dt * sum_j weights_j k_j."""
        return [
            [
                x[n] + (sum(w * k[j][m][n - 1] for j, w in enumerate(weights) if w) if n else 0)
                for n in range(length)
            ]
            for m, x in enumerate(start)
        ]

    explicit = not any(x for i, row in enumerate(A) for x in row[i:])
    for _ in range(1 if explicit else length):
        for i, row in enumerate(A):
            k[i] = field(times[i], moved(row))
    return moved(b)


def observed_order(field, A, b, c, limit):
    """The last power of dt up to which the step follows the solution, at most `limit`."""
    right = solution(field, limit + 1), step(field, A, b, c, limit + 1)
    for n, (x, y) in enumerate(zip(*(zip(*series, strict=True) for series in right), strict=True)):
        if x != y:
            return n - 1
    return limit
