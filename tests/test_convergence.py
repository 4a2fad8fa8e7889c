"""Every named method converges with the order that is proved for it, as the layer runs it.

The problem is nonlinear, coupled and not polynomial, so that every rooted tree has a say. It is a
rotation (u, z)' = (z, -u) seen in the coordinates u, v = z + S sin(Q u + W t), so it has a closed
solution:

    u' = v - S sin(Q u + W t),    v' = -u + S cos(Q u + W t) (Q u' + W)
"""

from dataclasses import dataclass

import keras
import mpmath
import numpy as np
import pytest
from keras import ops

from keras_rk import check, tableaux
from keras_rk.layers import RKResidual
from tests.keras_helpers import MODES, NATIVE, call_in, float64, numpy


@dataclass(frozen=True)
class Setting:
    """A problem, and the two numbers of steps between which the slope is taken."""

    steps: tuple[int, int]
    time: float = 3.0
    strength: float = 0.5
    frequency: float = 1.0
    size: float = 0.5
    seed: int = 1
    speed: float = 1.0
    begin: float = 0.5

    def start(self):
        return self.size * np.random.default_rng(self.seed).normal(size=(8, 2))

    def solution(self, y):
        s, q, w, begin = self.strength, self.frequency, self.speed, self.begin
        u, z = y[:, 0], y[:, 1] - s * np.sin(q * y[:, 0] + w * begin)
        cos, sin = np.cos(self.time), np.sin(self.time)
        u, z = cos * u + sin * z, cos * z - sin * u
        return np.stack([u, z + s * np.sin(q * u + w * (begin + self.time))], axis=1)


class TurningRotation(keras.layers.Layer):
    """The problem's f, in the backend's own operations: `keras.ops.sin` returns float32."""

    def __init__(self, setting):
        super().__init__(dtype="float64")
        self.setting = setting

    def call(self, y, t):
        s, q, w = self.setting.strength, self.setting.frequency, self.setting.speed
        u, v = y[:, 0], y[:, 1]
        angle = u * q + w * t
        z = v - NATIVE.sin(angle) * s
        turned = NATIVE.cos(angle) * (z * q + w) * s - u
        return NATIVE.stack([z, turned], -1)

    def compute_output_shape(self, input_shape):
        return input_shape


# Steps small enough for the leading error term to dominate, and large enough for the error to
# stay above round-off. At order 10 hardly a decade lies between the two, and a problem has to be
# found for each method.
BY_ORDER = {
    1: Setting((32, 48)),
    2: Setting((32, 48)),
    3: Setting((24, 32)),
    4: Setting((32, 48)),
    5: Setting((64, 96)),
    6: Setting((32, 64)),
    7: Setting((16, 24)),
    8: Setting((12, 20)),
    9: Setting((6, 10)),
}
# Methods with leading error terms so small that the next order would show, and those of order 10.
BY_NAME = {
    "feagin10": Setting((8, 16), time=2, strength=0.3, size=1.5, seed=2),
    "bogacki_shampine54": Setting((4, 8), frequency=1.5, size=1, seed=2, speed=1.5),
    "lawson6": Setting((4, 8), time=2, strength=0.3, frequency=0.7, seed=2, speed=0.5),
    "luther6": Setting((4, 8), time=2, strength=0.3, frequency=0.7, speed=0.5),
    "dverk65": Setting((4, 8), time=2, strength=0.3, frequency=0.7, speed=1.5),
    "verner65": Setting((6, 10), strength=0.3, frequency=1.5, size=1, seed=2),
    "verner76_1978": Setting((4, 8), time=2, strength=0.3, frequency=0.7, speed=0.5),
    "fehlberg78": Setting((4, 8), time=2, strength=0.3, frequency=0.7, speed=0.5),
    "tanaka_muramatsu_yamashita76": Setting(
        (4, 8), strength=0.3, frequency=1.5, size=1.5, speed=1.5
    ),
    "verner76_robust": Setting((4, 8), time=2, strength=0.3, frequency=0.7, size=1, speed=0.5),
    "verner87_1978": Setting((4, 8), time=2, strength=0.3, frequency=0.7, speed=0.5),
    "dop853": Setting((4, 8), time=2, strength=0.3, frequency=0.7, speed=0.5),
    "verner87": Setting((4, 8), size=1.5),
    "tsitouras98": Setting((4, 8), time=2, frequency=0.7, size=1, seed=2, speed=1.5),
    "verner98": Setting((4, 8), time=2, strength=0.3, frequency=1.5, size=1, seed=2, speed=1.5),
    "hairer10": Setting((4, 8), time=2, strength=0.3, frequency=1.5, size=1, seed=2),
    "ono10": Setting((4, 8), time=2, strength=0.3, frequency=0.7, size=1.5, seed=2, speed=0.5),
    "fehlberg12": Setting((32, 48), time=0.05, size=1),
    "fehlberg23": Setting((16, 24), time=0.05, size=1),
    "giraldo_kelly_constantinescu21": Setting((32, 48), time=0.3, size=1),
    "aubry_chartier3": Setting((4, 8), size=1.5, seed=2, speed=0.5),
    "kennedy_carpenter54": Setting((8, 16), time=2, strength=0.3, frequency=1.5, size=1.5, seed=2),
    "fehlberg65": Setting((6, 10), frequency=1.5, size=1.5, seed=2, speed=0.5),
    "papakostas65": Setting((8, 16), strength=0.3, frequency=0.7, size=1, speed=0.5),
    "enright_verner87": Setting((8, 16), strength=0.3, frequency=0.7, size=1, speed=0.5),
    "verner87_robust": Setting((4, 8), time=2, frequency=1.5, seed=2, speed=0.5),
    "fehlberg89": Setting((4, 8), frequency=1.5, size=1, seed=2, speed=0.5),
    "verner98_1978": Setting((8, 16), time=2, size=1, seed=2),
    "verner98_robust": Setting((4, 8), strength=0.3, frequency=1.5, size=1.5, speed=1.5),
    "tsitouras98_second": Setting(
        (6, 10), time=2, strength=0.3, frequency=0.7, size=1, seed=2, speed=0.5
    ),
    "stepanov10": Setting((8, 16), time=2, size=1, seed=2),
    "zhang10": Setting((8, 16), strength=0.3, frequency=0.7, size=1.5, seed=2),
    "curtis10": Setting((6, 10), time=2, strength=0.3, frequency=1.5, size=1),
    "baker109": Setting((8, 16), frequency=1.5, size=1, speed=0.5),
}


@pytest.fixture(autouse=True, scope="module")
def _float64():
    with float64():
        yield


def integrate(tableau, setting, y, steps):
    layer = RKResidual(
        TurningRotation(setting),
        tableau,
        setting.time / steps,
        steps,
        require="explicit",
        t0=setting.begin,
        dtype="float64",
    )
    layer.build(y.shape)
    in_a_loop = steps * layer.tableau.stages > 64  # compiled, it is many times faster
    mode = MODES[1] if in_a_loop and len(MODES) > 1 else "eager"
    return numpy(call_in(mode, layer, ops.convert_to_tensor(y, dtype="float64")))


def in_numpy(tableau, setting, y, steps):
    A, b, c, _ = tableau.to_numpy()
    s, q, w, dt = setting.strength, setting.frequency, setting.speed, setting.time / steps
    for n in range(steps):
        k = np.zeros((len(b), *y.shape))
        for i in range(len(b)):
            u, v = (y + dt * np.tensordot(A[i, :i], k[:i], 1)).T
            angle = u * q + w * (setting.begin + (n + c[i]) * dt)
            z = v - np.sin(angle) * s
            k[i] = np.stack([z, np.cos(angle) * (z * q + w) * s - u], -1)
        y = y + dt * np.tensordot(b, k, 1)
    return y


def observed_order(tableau, setting, integrate=integrate):
    y = setting.start()
    errors = [
        np.linalg.norm(integrate(tableau, setting, y, steps) - setting.solution(y))
        for steps in setting.steps
    ]
    assert 1e-14 < errors[1] < errors[0]
    return np.log(errors[0] / errors[1]) / np.log(setting.steps[1] / setting.steps[0])


def claimed_orders(least, most):
    return [name for name in tableaux.names() if least <= tableaux.get(name).claimed_order <= most]


def one_of_each_shape(names):
    """The first method of each order and number of stages: a layer sees no other difference."""
    shapes = {}
    for name in names:
        tableau = tableaux.get(name)
        shapes.setdefault((tableau.claimed_order, tableau.stages), name)
    return list(shapes.values())


@pytest.mark.repeated  # that each backend computes the same steps is shown for every named method
@pytest.mark.parametrize("name", one_of_each_shape(claimed_orders(1, 10)))
def test_observed_order_is_the_proved_order(name):
    order = check(name).nonautonomous_order
    setting = BY_NAME.get(name) or BY_ORDER[order]
    assert observed_order(tableaux.get(name), setting) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("name", claimed_orders(1, 10))
def test_observed_order_without_a_layer(name):
    """That a layer computes the same is shown beside the layer, for every named method."""
    order = check(name).nonautonomous_order
    setting = BY_NAME.get(name) or BY_ORDER[order]
    found = observed_order(tableaux.get(name), setting, in_numpy)
    assert found == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("name", claimed_orders(11, 14))
def test_orders_that_float64_cannot_show(name):
    """In 80 digits, the error of one step beside six short ones is O(dt^(p+1))."""
    tableau = tableaux.get(name)

    def f(t, u, v):
        return (
            v * mpmath.exp(-u) + mpmath.cos(3 * t),
            mpmath.sin(2 * u) * v - u**2,
        )

    def step(t, y, dt):
        k = []
        for row, c in zip(A, nodes, strict=True):
            at = [y[d] + dt * mpmath.fdot(row, [ki[d] for ki in k]) for d in range(2)]
            k.append(f(t + c * dt, *at))
        return [y[d] + dt * mpmath.fdot(weights, [ki[d] for ki in k]) for d in range(2)]

    def error(dt):
        y = start = [mpmath.mpf("0.3"), mpmath.mpf("0.7")]
        for n in range(6):
            y = step(n * dt / 6, y, dt / 6)
        return mpmath.norm([p - q for p, q in zip(step(0, start, dt), y, strict=True)])

    with mpmath.workdps(80):
        A = [[as_float(a) for a in row[:i]] for i, row in enumerate(tableau.A)]
        weights, nodes = [[as_float(x) for x in row] for row in (tableau.b, tableau.c)]
        slope = float(mpmath.log(error(mpmath.mpf(2) ** -7) / error(mpmath.mpf(2) ** -8), 2))
    assert slope == pytest.approx(tableau.claimed_order + 1, abs=0.2)


def as_float(x):
    return mpmath.mpf(x.numerator) / x.denominator


def test_a_wrong_coefficient_shows():
    rk4 = tableaux.get("rk4")
    broken = ([*rk4.A[:3], (0, 0, "99/100", 0)], rk4.b)
    assert observed_order(broken, BY_ORDER[4]) < 3
