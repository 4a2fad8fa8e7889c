"""What the construction of a layer proves: what `require`, `order` and the claims ask."""

from __future__ import annotations

import keras
import pytest

from keras_rk import Tableau, TableauError, tableaux
from keras_rk.layers import RKResidual, RKStack, arguments
from keras_rk.proof.order_conditions import Residuals
from tests.keras_helpers import dense


class Clock(keras.layers.Layer):
    def call(self, y, t):
        return t * y


HIGH = tableaux.get("feagin10")  # 17 stages; its full proof goes up to order 11
RK8 = tableaux.get("rk8")
NODES = [*HIGH.c[:-1], HIGH.c[-1] + 1e-15]  # numerically the row sums


def high(**options):
    return Tableau(HIGH.A, HIGH.b, **options)


@pytest.fixture
def asked(monkeypatch):
    """(order, embedded, with_time) of every set of conditions that is looked at."""
    for cached in (arguments._report, arguments._sums_to_one, arguments._pair_fault):
        cached.cache_clear()
    seen = []
    unmet = Residuals.unmet

    def recorded(residuals, order, embedded=False):
        seen.append((order, embedded, residuals._weights.with_time))
        return unmet(residuals, order, embedded)

    monkeypatch.setattr(Residuals, "unmet", recorded)
    return seen


def orders(last, embedded=False, with_time=False):
    return {(order, embedded, with_time) for order in range(1, last + 1)}


@pytest.mark.parametrize("make", [RKResidual, lambda f, *a, **k: RKStack(f, 2, *a, **k)])
@pytest.mark.parametrize(
    ("tableau", "options", "expected"),
    [
        (high(), {"require": "explicit"}, set()),
        (high(claimed_order=10), {"require": "explicit"}, set()),
        (high(), {"require": "consistent"}, orders(1)),
        (high(claimed_order=10), {"require": "consistent"}, orders(1)),
        (high(c=NODES), {"require": "consistent"}, orders(1)),
        (high(), {}, orders(1)),
        (high(), {"order": 3}, orders(3)),
        (high(claimed_order=2), {}, orders(2)),
        (high(claimed_order=2), {"order": 4}, orders(4)),
        (high(c=NODES), {"order": 3}, orders(3)),
        (high(b_hat=HIGH.b_hat), {}, orders(1) | orders(1, embedded=True)),
        (
            high(b_hat=HIGH.b_hat, claimed_embedded_order=3),
            {"order": 2},
            orders(2) | orders(3, embedded=True),
        ),
        (
            high(b_hat=HIGH.b_hat),
            {"require": "explicit", "error_estimate": True},
            orders(1, embedded=True),
        ),
        (high(c=NODES), {"order": 3, "layer": "clock"}, orders(3) | orders(3, with_time=True)),
        (
            Tableau(RK8.A, RK8.b),
            {"trainable_tableau": True, "order_penalty": (3, 0.1)},
            orders(1),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_nothing_else_is_proved(make, tableau, options, expected, asked):
    f = Clock() if options.get("layer") else dense(3)
    options = {key: value for key, value in options.items() if key != "layer"}
    make(f, tableau, **options)
    assert set(asked) == expected


def test_a_method_is_proved_once_in_a_process(asked, tmp_path):
    model = keras.Sequential([keras.Input((3,)), RKResidual(dense(3), high(), order=4)])
    assert set(asked) == orders(4)
    model.save(tmp_path / "model.keras")
    asked.clear()
    keras.saving.load_model(tmp_path / "model.keras")
    RKResidual(dense(3), high(), order=4)
    assert asked == []


@pytest.mark.parametrize(
    ("tableau", "options"),
    [
        (high(claimed_order=11), {}),
        (high(), {"order": 11}),
        (high(b_hat=HIGH.b, claimed_embedded_order=11), {}),
        (high(c=[0, *HIGH.c[2:], 1]), {}),
        (Tableau(HIGH.A, [*HIGH.b[:-1], 1]), {}),
        (Tableau(HIGH.A, [*HIGH.b[:-1], 1]), {"require": "consistent"}),
        (high(b_hat=HIGH.b), {"error_estimate": True}),
        (high(c=[*HIGH.c[:-1], "0.9"]), {"order": 3, "layer": "clock"}),
    ],
)
def test_what_is_asked_is_not_skipped(tableau, options):
    f = Clock() if options.get("layer") else dense(3)
    options = {key: value for key, value in options.items() if key != "layer"}
    with pytest.raises(TableauError):
        RKResidual(f, tableau, **options)


@pytest.mark.parametrize("layer", [RKResidual, RKStack])
def test_the_error_says_what_would_mend_a_short_tableau(layer):
    ralston = Tableau([[], ["2/5"]], ["1/4", "3/4"], claimed_order=2)  # 2/3 became 2/5
    depth = {"depth": 2} if layer is RKStack else {}
    with pytest.raises(TableauError, match=r"suggestion   A\[1\]\[0\] = 2/3 instead of 2/5"):
        layer(dense(2), tableau=ralston, **depth)
