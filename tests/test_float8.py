"""Float8 layers, whose next scales come as gradients: the largest of the evaluations counts."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import tableaux
from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import BACKEND, dense, gradients, normal, numpy, slow

SIZE, BATCH = 3, 4
MODE = "graph" if BACKEND == "tensorflow" else "eager"  # where Keras itself fails in eager


def float8():
    return dense(SIZE, dtype="float8_from_float32")


class Separately(keras.layers.Layer):
    """Steps written out, in which each evaluation has a layer of its own, with its own scales."""

    def __init__(self, tableau, steps, depth):
        super().__init__()
        self.tableau, self.steps = tableaux.get(tableau), steps
        evaluations = range(steps * self.tableau.stages)
        self.copies = [[float8() for _ in evaluations] for _ in range(depth)]

    def build(self, input_shape):
        for layer in itertools.chain(*self.copies):
            layer.build(input_shape)

    def call(self, y, training=None):
        a, b = (x.tolist() for x in self.tableau.to_numpy("float32")[:2])
        for block in self.copies:
            evaluations = iter(block)
            for _ in range(self.steps):
                k = []
                for row in a:
                    at = y + sum(x * ki for x, ki in zip(row, k, strict=False))
                    k.append(next(evaluations)(at, training=training))
                y = y + sum(x * ki for x, ki in zip(b, k, strict=True))
        return y

    def in_blocks(self, of_weights):
        """What is given for each weight, by block and name, in a list over the evaluations."""
        given = dict(zip((id(v) for v in self.trainable_weights), of_weights, strict=True))
        columns = [zip(*(f.trainable_weights for f in block), strict=True) for block in self.copies]
        return [{c[0].name: [given[id(v)] for v in c] for c in block} for block in columns]


def in_blocks(layer, of_weights):
    """What is given for each weight of a layer, by block and name."""
    names = [variable.name for variable in layer.layer.trainable_weights]
    rows = zip(*of_weights, strict=True) if isinstance(layer, RKStack) else [of_weights]
    return [dict(zip(names, row, strict=True)) for row in rows]


def residual(**kwargs):
    return RKResidual(float8(), **kwargs)


def quantized(**kwargs):
    layer = RKResidual(dense(SIZE), **kwargs)
    keras.Sequential([keras.Input((SIZE,)), layer]).quantize("float8")
    return layer


def nested(**kwargs):
    return RKResidual(residual(**kwargs), "euler")


def stack(**kwargs):
    return RKStack(float8(), 2, **kwargs)


CASES = [  # how it is made, method, steps, remat
    (residual, "euler", 1, None),
    (residual, "rk4", 1, None),
    (residual, "euler", 3, None),
    (residual, "midpoint", 1, "stage"),
    (quantized, "midpoint", 1, None),
    (stack, "midpoint", 1, None),
]


@pytest.mark.filterwarnings("ignore:.*quantiz")
@pytest.mark.parametrize(("make", "tableau", "steps", "remat"), CASES)
def test_scales_and_ranges_are_those_of_all_evaluations_together(make, tableau, steps, remat):
    ours = make(tableau=tableau, steps=steps, remat=remat)
    by_hand = Separately(tableau, steps, 2 if make is stack else 1)
    for layer in (ours, by_hand):
        layer.build((None, SIZE))
    for variable in ours.trainable_weights:
        if variable.overwrite_with_gradient:  # 1 and 0 at first
            variable.assign(np.random.default_rng(1).uniform(0.01, 0.02, variable.shape))
    values = in_blocks(ours, [numpy(variable) for variable in ours.trainable_weights])
    for block, copies in zip(values, by_hand.in_blocks(by_hand.trainable_weights), strict=True):
        for name, variables in copies.items():
            for variable in variables:
                variable.assign(block[name])
    found, expected = (
        gradients(
            lambda y, f=layer: ops.sum(f(y, training=True) ** 2), layer, normal(BATCH, SIZE), MODE
        )[1:]
        for layer in (ours, by_hand)
    )
    for block, copies in zip(in_blocks(ours, found), by_hand.in_blocks(expected), strict=True):
        assert block.keys() == copies.keys()
        assert len(block) == 8
        for name, value in block.items():
            is_weight = name in ("kernel", "bias")
            right = np.sum(copies[name], axis=0) if is_weight else np.max(copies[name], axis=0)
            np.testing.assert_allclose(value, right, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("make", [stack, *slow(residual, nested)])
def test_ranges_do_not_grow_in_training(make):
    layer = make(tableau="midpoint", steps=2, dt=0.5, remat="step")  # a real loop
    model = keras.Sequential([keras.Input((SIZE,)), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    y = normal(BATCH, SIZE)
    history = model.fit(y, 0 * y, epochs=10, verbose=0).history["loss"]
    assert history[-1] < history[0]
    ranges = [v for v in layer.variables if v.name.endswith("inputs_amax_history")]
    assert len(ranges) == 1
    assert np.abs(y).max() <= numpy(ranges[0]).max() < 2 * np.abs(y).max()


def test_a_float8_layer_that_f_does_not_own():
    shared = float8()
    shared.build((None, SIZE))
    y = ops.convert_to_tensor(normal(BATCH, SIZE))

    def layer(tableau):
        return RKResidual(keras.layers.Lambda(lambda y: shared(y)), tableau)

    np.testing.assert_array_equal(numpy(layer("euler")(y)), numpy(y + shared(y)))
    with pytest.raises(ValueError, match=r"must be part of f.*Received: variable .*inputs_scale"):
        layer("rk4")(y)
