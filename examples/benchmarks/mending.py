"""How often the first suggestion for a broken tableau is the right one, and how long it takes.

    python examples/benchmarks/mending.py            # a thousand slips, some minutes
    python examples/benchmarks/mending.py 100 --seed 1 --misses

Puts random slips into the named methods, one at a time, keeps those that make the check fail, and
compares the suggestions with the method as it was. Half of the tableaux come with their nodes c.
"""

from __future__ import annotations

import argparse
import math
import random
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from keras_rk import Tableau, TableauError, check, tableaux

Rows = dict[str, Any]  # A, b, c, b_hat: lists of exact coefficients
_NUMBER = re.compile(r"\d+")


class Outcome(NamedTuple):
    """What came of one slip; `place` is that of the right mend, or None."""

    kind: str
    method: str
    is_exact: bool
    place: int | None
    is_equal: bool  # whether the first suggestion has the orders of the method
    seconds: float
    said: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slips", nargs="?", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", default=default_methods())
    parser.add_argument("--two", action="store_true", help="two slips in each tableau")
    parser.add_argument("--misses", action="store_true", help="print what was not mended")
    options = parser.parse_args()
    kinds = {TWO: two_slips} if options.two else KINDS
    outcomes = run(options.slips, options.seed, options.methods, kinds)
    print(report(outcomes))
    if options.misses:
        for outcome in outcomes:
            if outcome.place != 0:
                print(f"{outcome.kind}, {outcome.method}: {outcome.said}")


def default_methods() -> list[str]:
    """All whose proof takes less than the two seconds that suggestions have."""
    return [name for name in tableaux.names() if tableaux.get(name).claimed_order <= 10]


def run(count: int, seed: int, methods: list[str], kinds: Kinds) -> list[Outcome]:
    """One outcome for each slip, the kinds in turn."""
    draw = random.Random(seed)
    exact = {name: check(name).verdict == "exact" for name in methods}
    names = list(kinds)
    outcomes: list[Outcome] = []
    while len(outcomes) < count:
        kind = names[len(outcomes) % len(names)]
        name = draw.choice(methods)
        broken = slipped(tableaux.get(name), kind, draw, kinds)
        if broken is None or (failed := check(broken)):
            continue
        outcomes.append(mended(failed, tableaux.get(name), kind, exact[name]))
    return outcomes


def mended(failed: Any, right: Tableau, kind: str, is_exact: bool) -> Outcome:
    start = time.perf_counter()
    suggestions = failed.suggestions
    seconds = time.perf_counter() - start
    place = next((i for i, s in enumerate(suggestions) if is_right(s.tableau, right, kind)), None)
    is_equal = False
    said = "nothing: " + " | ".join(failure.message for failure in failed.failures)
    if suggestions:
        first, known = check(suggestions[0].tableau), check(right)
        is_equal = (first.order, first.embedded_order) == (known.order, known.embedded_order)
        said = suggestions[0].text
    return Outcome(kind, right.name or "", is_exact, place, is_equal, seconds, said)


def is_right(found: Tableau, right: Tableau, kind: str) -> bool:
    """Equal, apart from nodes that follow; permuted stages up to the order in which they stand."""
    if kind != "stages permuted" or found == right:
        near = all(abs(x - y) < 1e-12 for x, y in zip(found.exact_c, right.exact_c, strict=True))
        same = (found.exact_A, found.exact_weights) == (right.exact_A, right.exact_weights)
        return near and same
    return sorted(map(_stage, *_columns(found))) == sorted(map(_stage, *_columns(right)))


def _columns(tableau: Tableau) -> tuple[Any, ...]:
    empty = [0] * tableau.stages
    return tableau.exact_c, tableau.exact_b, tableau.exact_b_hat or empty, tableau.exact_A


def _stage(c: Any, b: Any, b_hat: Any, row: Any) -> tuple[float, ...]:
    return (float(c), float(b), float(b_hat), *sorted(float(x) for x in row if x))


def slipped(
    tableau: Tableau, kind: str, draw: random.Random, kinds: Kinds | None = None
) -> Tableau | None:
    """The tableau with one slip of a kind; None where there is no place for it."""
    rows: Rows = {
        "A": [list(row) for row in tableau.exact_A],
        "b": list(tableau.exact_b),
        "c": list(tableau.exact_c),
        "b_hat": None if tableau.exact_b_hat is None else list(tableau.exact_b_hat),
    }
    with_nodes = draw.random() < 0.5 or kind == "node"
    if not (kinds or KINDS)[kind](rows, draw):
        return None
    try:
        return Tableau(
            rows["A"],
            rows["b"],
            rows["c"] if with_nodes else None,
            b_hat=rows["b_hat"],
            claimed_order=tableau.claimed_order,
            claimed_embedded_order=tableau.claimed_embedded_order,
            name=tableau.name,
        )
    except TableauError:  # a slip such as 1/0
        return None


def coefficients(rows: Rows) -> list[tuple[list[Any], int]]:
    """Where the coefficients stand that are not zero, nor the 1 of a plain sum."""
    lists = [*rows["A"], rows["b"], *([rows["b_hat"]] if rows["b_hat"] else [])]
    return [(row, j) for row in lists for j, x in enumerate(row) if x]


def in_text(change: Callable[[str, random.Random], str | None]) -> Callable[..., bool]:
    """A slip in the digits of one coefficient, as the fraction, decimal or root it is."""

    def slip(rows: Rows, draw: random.Random) -> bool:
        row, j = draw.choice(coefficients(rows))
        return respelled(row, j, change, draw)

    return slip


def respelled(row: list[Any], j: int, change: Any, draw: random.Random) -> bool:
    """Change the digits of one number in `row[j]`; False where they stay."""
    text = written(row[j])
    place = draw.choice(list(_NUMBER.finditer(text)))
    digits = change(place[0], draw)
    if digits is None or digits == place[0]:
        return False
    row[j] = text[: place.start()] + digits + text[place.end() :]
    return True


def written(x: Any) -> str:
    """As somebody types it: decimals with many places as such."""
    if (
        isinstance(x, Fraction)
        and x.denominator > 10**6
        and 10 ** x.denominator.bit_length() % x.denominator == 0
    ):
        places = next(n for n in range(1, 1000) if 10**n % x.denominator == 0)
        digits = str(abs(x.numerator) * 10**places // x.denominator).rjust(places + 1, "0")
        return f"{'-' if x < 0 else ''}{digits[:-places]}.{digits[-places:]}"
    return str(x)


def changed_digit(digits: str, draw: random.Random) -> str | None:
    i = draw.randrange(len(digits))
    return digits[:i] + draw.choice("0123456789") + digits[i + 1 :]


def lost_digit(digits: str, draw: random.Random) -> str | None:
    i = draw.randrange(len(digits))
    return digits[:i] + digits[i + 1 :] if len(digits) > 1 else None


def extra_digit(digits: str, draw: random.Random) -> str | None:
    i = draw.randrange(len(digits) + 1)
    return digits[:i] + draw.choice("0123456789") + digits[i:]


def exchanged_digits(digits: str, draw: random.Random) -> str | None:
    if len(digits) < 2:
        return None
    i = draw.randrange(len(digits) - 1)
    return digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :]


def lost_zero(digits: str, draw: random.Random) -> str | None:
    zeros = [i for i, digit in enumerate(digits) if digit == "0"]
    if not zeros or len(digits) < 2:
        return None
    i = draw.choice(zeros)
    return digits[:i] + digits[i + 1 :]


def extra_zero(digits: str, draw: random.Random) -> str | None:
    i = draw.randrange(len(digits)) + 1
    return digits[:i] + "0" + digits[i:]


def sign(rows: Rows, draw: random.Random) -> bool:
    row, j = draw.choice(coefficients(rows))
    row[j] = -row[j]
    return True


def fraction_bar(rows: Rows, draw: random.Random) -> bool:
    """The denominator is lost."""
    fractions = [
        (row, j)
        for row, j in coefficients(rows)
        if isinstance(row[j], Fraction) and 1 < row[j].denominator < 10**6
    ]
    if not fractions:
        return False
    row, j = draw.choice(fractions)
    row[j] = Fraction(row[j].numerator)
    return True


def rounded(rows: Rows, draw: random.Random) -> bool:
    """A fraction becomes a decimal with six digits: 0.333333."""
    fractions = [
        (row, j)
        for row, j in coefficients(rows)
        if isinstance(row[j], Fraction) and row[j].denominator < 10**6
    ]
    if not fractions:
        return False
    row, j = draw.choice(fractions)
    row[j] = f"{float(row[j]):.6f}"
    return True


def point(rows: Rows, draw: random.Random) -> bool:
    """A fraction with a short decimal, written as one, loses its point."""
    decimals = [
        (row, j)
        for row, j in coefficients(rows)
        if isinstance(row[j], Fraction)
        and row[j].denominator > 1
        and 10**6 % row[j].denominator == 0
    ]
    if not decimals:
        return False
    row, j = draw.choice(decimals)
    row[j] = f"{float(row[j]):.6f}".rstrip("0").replace(".", "")
    return True


def exchanged_rows(rows: Rows, draw: random.Random) -> bool:
    A = rows["A"]
    if len(A) < 3:
        return False
    i, k = draw.sample(range(1, len(A)), 2)
    A[i], A[k] = A[k], A[i]
    return True


def permuted(rows: Rows, draw: random.Random) -> bool:
    order = list(range(len(rows["b"])))
    draw.shuffle(order)
    rows["A"] = [[rows["A"][i][j] for j in order] for i in order]
    for field in ("b", "c", "b_hat"):
        if rows[field]:
            rows[field] = [rows[field][i] for i in order]
    return True


def exchanged_weights(rows: Rows, draw: random.Random) -> bool:
    rows["b"], rows["b_hat"] = rows["b_hat"], rows["b"]
    return rows["b"] is not None


def denominator(rows: Rows, draw: random.Random) -> bool:
    """A row is written as the numerators over its common denominator, which is forgotten."""
    lists = [row for row in (*rows["A"], rows["b"], rows["b_hat"] or []) if sum(map(bool, row)) > 1]
    lists = [row for row in lists if all(isinstance(x, Fraction) for x in row)]
    if not lists:
        return False
    row = draw.choice(lists)
    common = math.lcm(*(x.denominator for x in row))
    row[:] = [x * common for x in row]
    return 1 < common < 10**9


def missing_zero(rows: Rows, draw: random.Random) -> bool:
    """What follows a zero in a row stands one place off."""
    lists = [row[:i] for i, row in enumerate(rows["A"])]
    places = [
        (i, j) for i, row in enumerate(lists) for j, x in enumerate(row) if not x and any(row[j:])
    ]
    if not places:
        return False
    i, j = draw.choice(places)
    row = rows["A"][i]
    row[:] = [*row[:j], *row[j + 1 :], Fraction(0)]
    return True


def node(rows: Rows, draw: random.Random) -> bool:
    """A slip in c, which is given."""
    c = rows["c"]
    places = [j for j, x in enumerate(c) if x]
    if not places:
        return False
    change = draw.choice([changed_digit, lost_digit, extra_digit])
    return respelled(c, draw.choice(places), change, draw)


Kinds = dict[str, Callable[[Rows, random.Random], bool]]
TWO = "two slips"
KINDS: Kinds = {
    "sign": sign,
    "digit changed": in_text(changed_digit),
    "digit lost": in_text(lost_digit),
    "digit too many": in_text(extra_digit),
    "digits exchanged": in_text(exchanged_digits),
    "zero lost": in_text(lost_zero),
    "zero too many": in_text(extra_zero),
    "point lost": point,
    "denominator lost": fraction_bar,
    "rounded to 6 digits": rounded,
    "node c": node,
    "zero missing in a row": missing_zero,
    "rows exchanged": exchanged_rows,
    "stages permuted": permuted,
    "b and b_hat exchanged": exchanged_weights,
    "common denominator forgotten": denominator,
}


def two_slips(rows: Rows, draw: random.Random) -> bool:
    """In the digits of two coefficients."""
    places = coefficients(rows)
    changes = draw.choices([changed_digit, lost_digit, extra_digit, exchanged_digits], k=2)
    return len(places) > 1 and all(
        respelled(row, j, change, draw)
        for (row, j), change in zip(draw.sample(places, 2), changes, strict=True)
    )


def report(outcomes: list[Outcome]) -> str:
    """A line for each kind, and totals for exact methods, for those in decimals, and for all."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.kind].append(outcome)
    groups = {kind: groups[kind] for kind in (*KINDS, TWO) if kind in groups}
    groups["exact methods"] = [outcome for outcome in outcomes if outcome.is_exact]
    groups["methods in decimals"] = [outcome for outcome in outcomes if not outcome.is_exact]
    groups["all"] = outcomes
    lines = [
        f"{'':<30}{'slips':>6}{'first':>8}{'in three':>9}{'as valid':>9}{'nothing':>8}"
        f"{'median':>9}{'worst':>8}"
    ]
    for name, found in groups.items():
        if not found:
            continue
        first = sum(outcome.place == 0 for outcome in found)
        three = sum(outcome.place is not None and outcome.place < 3 for outcome in found)
        equal = sum(outcome.place != 0 and outcome.is_equal for outcome in found)
        nothing = sum(outcome.said.startswith("nothing") for outcome in found)
        seconds = [outcome.seconds for outcome in found]
        lines.append(
            f"{name:<30}{len(found):>6}{first / len(found):>8.1%}{three / len(found):>9.1%}"
            f"{equal:>9}{nothing:>8}{statistics.median(seconds):>7.3f} s{max(seconds):>6.2f} s"
        )
    lines.append("as valid: another mend came first, and the tableau has the orders of the method")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
