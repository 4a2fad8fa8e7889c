"""How likely one number was written for another: a sign, a digit, a zero, a point, a fraction bar.

The smaller the cost, the likelier; up to `PLAUSIBLE` it is one slip of a hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from keras_rk.numbers.coefficients import Coefficient, looks_like_float, to_text
from keras_rk.proof.digits import rounding_unit

__all__ = ["PLAUSIBLE", "apart", "cost", "decimal_text", "neighbours"]

PLAUSIBLE = 2.0
_LONGEST = 120  # digits of a decimal that is compared as such


def cost(old: Coefficient, new: Coefficient) -> float:
    """What it takes to write `old` where `new` was meant.

    >>> from fractions import Fraction
    >>> cost(Fraction(3, 4), Fraction(3, 40)) < cost(Fraction(3, 4), Fraction(5, 37))
    True
    """
    if new == -old:
        return 1.0
    texts = [(to_text(old), to_text(new))]
    unit = rounding_unit(old)
    if unit and isinstance(new, Fraction) and abs(old - new) <= unit:
        return 0.9  # cut to its digits
    if isinstance(old, Fraction) and isinstance(new, Fraction):
        fractions = _fractions(old, new)
        decimals = [decimal_text(x) for x in (old, new)]
        if all(decimals):
            texts.append((decimals[0], decimals[1]))
    else:
        fractions = math.inf
    distances: list[float] = [apart(*pair) for pair in texts]
    distances += [0.7 + apart(*(text.lstrip("-") for text in pair)) for pair in texts]
    distance = min(distances)
    if distance > 1:
        distance = 1 + distance / 4 + len(texts[0][1]) / 40
        if not old or not new:
            distance += 0.5  # a number from nowhere
    return min(distance, fractions)


def _fractions(old: Fraction, new: Fraction) -> float:
    """The same for numerators over one denominator, or denominators under one numerator."""
    if not old or not new:
        return math.inf
    signs = 0.7 if (old < 0) != (new < 0) else 0.0
    old, new = abs(old), abs(new)
    if old * new == 1:
        return signs + 1.3
    if old.denominator == 1 and new.numerator == old:
        return signs + 1.2  # the denominator was lost
    common = math.lcm(old.denominator, new.denominator)
    above = (int(old * common), int(new * common))
    joint = math.lcm(old.numerator, new.numerator)
    below = (int(joint / old), int(joint / new))
    best = math.inf
    for x, y in (above, below):
        distance = apart(str(x), str(y))
        if distance <= 1:
            best = min(best, 1.2 if min(x, y) >= 10 else 1.5)
    return signs + best


def apart(one: str, other: str) -> int:
    """How many characters differ; two that are exchanged count once, and so do zeros in a row.

    >>> apart("18575", "18574"), apart("12", "21"), apart("1/4", "1/4000")
    (1, 1, 1)
    """
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    end = 0
    while end < min(len(one), len(other)) and one[-1 - end] == other[-1 - end]:
        end += 1
    if end:
        one, other = one[:-end], other[:-end]
    if len(one) == 2 and one == other[::-1]:
        return 1
    if not one.strip("0") and not other.strip("0"):
        return int(bool(one or other))
    if sorted((one, other)) in (["", "."], ["", "0."]):
        return 1
    return max(len(one), len(other))


def decimal_text(x: Fraction) -> str:
    """x as a decimal: as a float prints, or where its expansion ends soon; otherwise nothing."""
    if looks_like_float(x):
        return repr(float(x))
    places = 0
    rest = x.denominator
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest //= prime
            power += 1
        places = max(places, power)
    if rest != 1 or places > _LONGEST:
        return ""
    digits = str(abs(x.numerator) * 10**places // x.denominator).rjust(places + 1, "0")
    sign = "-" if x < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def neighbours(text: str) -> Iterator[str]:
    """Decimals that one slip may have turned into this text."""
    sign, body = ("-", text[1:]) if text.startswith("-") else ("", text)
    yield body if sign else f"-{body}"
    for i, digit in enumerate(body):
        if digit == ".":
            yield sign + body[:i] + body[i + 1 :]
            continue
        yield sign + body[:i] + body[i + 1 :]
        yield from (sign + body[:i] + other + body[i + 1 :] for other in "0123456789")
        if i + 1 < len(body) and body[i + 1] != digit:
            yield sign + body[:i] + body[i + 1] + digit + body[i + 2 :]
    for i in range(len(body) + 1):
        yield from (sign + body[:i] + other + body[i:] for other in "0123456789")
        if "." not in body:
            yield f"{sign}{body[:i]}.{body[i:]}"
