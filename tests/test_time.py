"""f(t, y): every stage gets its time."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk import TableauError, tableaux
from keras_rk.layers import ConcatTime, RKResidual, RKStack
from keras_rk.steps import integration
from tests.keras_helpers import MODES, call_in, dense, gradients, normal, numpy


class Clock(keras.layers.Layer):
    """k = t, so that y shows at which times f was evaluated."""

    def call(self, y, t):
        return t * ops.ones_like(y)

    def compute_output_shape(self, input_shape):
        return input_shape


class Pendulum(keras.layers.Layer):
    """f = tanh(w y) + cos(t), which depends on both."""

    def build(self, input_shape):
        self.w = self.add_weight((), initializer=keras.initializers.Constant(0.7))

    def call(self, y, t):
        return ops.tanh(self.w * y) + ops.cos(t)

    def compute_output_shape(self, input_shape):
        return input_shape


def by_hand(tableau, dt, steps, t, y, w=0.7):
    arrays = tableaux.get(tableau).to_numpy()
    for n in range(steps):
        k = []
        for row, c in zip(arrays.A, arrays.c, strict=True):
            stage = y + dt * sum((a * ki for a, ki in zip(row, k, strict=False)), 0 * y)
            k.append(np.tanh(w * stage) + np.cos(t + (n + c) * dt))
        y = y + dt * sum((b * ki for b, ki in zip(arrays.b, k, strict=True)), 0 * y)
    return y


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps", [1, 3, 40])
@pytest.mark.parametrize("tableau", ["euler", "midpoint", "rk4", "dormand_prince54"])
def test_value(tableau, steps, mode):
    layer = RKResidual(Pendulum(), tableau, dt=0.25, steps=steps, t0="1/3")
    y = normal(4, 3)
    layer.build((None, 3))
    expected = by_hand(tableau, 0.25, steps, 1 / 3, y.astype("float64"))
    np.testing.assert_allclose(numpy(call_in(mode, layer, y)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps", [1, 2])
def test_a_stack_advances_the_time_from_block_to_block(steps, mode):
    """The midpoint of each block of its own length, weighted with it: the integral of t."""
    dts = [0.5, 1.0, 0.25]
    layer = RKStack(Clock(), 3, "midpoint", dts, steps, t0=2, return_states=True)
    layer.build((None, 1))
    states = numpy(call_in(mode, layer, np.zeros((1, 1), "float32")))[0, :, 0]
    ends = 2 + steps * np.cumsum([0, *dts])
    np.testing.assert_allclose(states, (ends**2 - 4) / 2, rtol=1e-6)


def test_a_stack_is_its_blocks_one_after_another():
    stack = RKStack(Pendulum(), 3, "rk4", ["1/2", "1/3", 1], 2, t0="1/7")
    y = normal(4, 3)
    expected = numpy(stack(y))
    blocks = stack.unstack()
    assert [block.t0 for block in blocks] == ["1/7", "8/7", "38/21"]
    for block in blocks:
        y = block(y)
    np.testing.assert_allclose(numpy(y), expected, rtol=1e-5, atol=1e-6)
    again = RKStack.from_layers(blocks)
    np.testing.assert_allclose(numpy(again(normal(4, 3))), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("unrolled", [0, 64])
def test_gradients_do_not_depend_on_how_the_loop_is_run(unrolled, mode, monkeypatch):
    def found(limit):
        monkeypatch.setattr(integration, "UNROLLED", limit)
        layer = RKResidual(Pendulum(), "rk4", dt=0.2, steps=5)
        layer.build((None, 3))
        return gradients(lambda y: ops.sum(layer(y) ** 2), layer, normal(4, 3), mode)

    for one, other in zip(found(unrolled), found(1000), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_blocks_of_learned_lengths_are_a_stack():
    stack = RKStack(Pendulum(), 3, "rk4", 0.5, trainable_dt=True, t0=1)
    stack.build((None, 3))
    next(w for w in stack.weights if w.name == "log_dt_ratio").assign([0.1, -0.3, 0.2])
    y = normal(4, 3)
    again = RKStack.from_layers(stack.unstack())
    np.testing.assert_allclose(numpy(again(y)), numpy(stack(y)), rtol=1e-5, atol=1e-6)


def test_blocks_of_other_times_are_no_stack():
    blocks = RKStack(Pendulum(), 3, "rk4", 0.5)
    blocks.build((None, 3))
    with pytest.raises(ValueError, match="begins at the time at which the one before has ended"):
        RKStack.from_layers(blocks.unstack()[::-1])


def test_backwards_in_time():
    forth = RKResidual(Pendulum(), "rk8", dt=0.1, steps=10, t0=1)
    back = RKResidual(Pendulum(), "rk8", dt=-0.1, steps=10, t0=2)
    y = normal(4, 3)
    np.testing.assert_allclose(numpy(back(forth(y))), y, atol=1e-5)


@pytest.mark.parametrize("make", [lambda f: RKResidual(f), lambda f: RKStack(f, 2)])
def test_the_time_is_not_an_argument_of_the_call(make):
    with pytest.raises(TypeError, match="gives f its time `t`"):
        make(Clock())(normal(2, 3), t=1.0)


def test_a_functional_model_with_an_input_t():
    y, t = keras.Input((3,)), keras.Input(batch_shape=(), name="t")
    f = keras.Model([y, t], t * ops.ones_like(y))
    layer = RKResidual(f, "midpoint", dt=0.5, t0=1)
    np.testing.assert_allclose(numpy(layer(np.zeros((2, 3), "float32"))), 0.625)


def test_further_inputs_and_the_time():
    class Both(keras.layers.Layer):
        def call(self, y, t, context=None):
            return t * ops.ones_like(y) + context

        def compute_output_shape(self, y_shape, t_shape, context_shape=None):
            return y_shape

    layer = RKResidual(Both(), "midpoint", dt=0.5)
    result = layer(np.zeros((2, 3), "float32"), context=ops.ones((2, 3)))
    np.testing.assert_allclose(numpy(result), 0.5 * (0.25 + 1))


NODES = ([[], ["1/2"]], [0, 1], [0, "1/3"])  # order 2 for f(y), 1 for f(t, y)


def test_the_order_proved_is_that_for_f_of_t_and_y():
    with pytest.raises(TableauError, match=r"for y' = f\(t, y\) .* has order 1, not 2"):
        RKResidual(Clock(), NODES, order=2)
    with pytest.raises(TableauError, match="row sums"):
        RKResidual(dense(3), NODES, order=2)
    assert RKResidual(Clock(), NODES, order=1).order == 1


@pytest.mark.parametrize("t0", [float("nan"), float("inf"), "later", None, True, [0.0]])
def test_a_bad_t0_is_refused(t0):
    with pytest.raises(ValueError, match=r"`t0` must be a finite number"):
        RKResidual(Clock(), t0=t0)


def test_mixed_precision_leaves_the_time_exact_enough():
    layer = RKResidual(Clock(dtype="float32"), "midpoint", dt=0.001, t0=100, dtype="mixed_bfloat16")
    result = layer(np.zeros((2, 3), "float32"))
    np.testing.assert_allclose(numpy(ops.cast(result, "float32")), 0.1, rtol=0.01)


# --------------------------------------------------------------------------- ConcatTime


def test_concat_time_is_a_channel_more():
    g = dense(3)
    f = ConcatTime(g)
    y = normal(4, 3)
    grown = np.concatenate([y, np.full((4, 1), 0.5, "float32")], axis=1)
    np.testing.assert_allclose(numpy(f(y, t=0.5)), numpy(g(grown)), rtol=1e-6)
    assert tuple(g.kernel.shape) == (4, 3)


@pytest.mark.parametrize(
    "g, shape, axis",
    [
        (lambda: keras.layers.Conv1D(3, 3, padding="same"), (5, 3), -1),
        (lambda: keras.layers.Conv2D(2, 3, padding="same"), (4, 5, 2), -1),
        (lambda: keras.layers.Permute((2, 1)), (2, 3), 1),
    ],
)
def test_concat_time_of_other_layers(g, shape, axis):
    if axis == 1:
        f = ConcatTime(keras.Sequential([g(), dense(2), g()]), axis=1)
    else:
        f = ConcatTime(g(), axis=axis)
    y = normal(2, *shape)
    one, other = (RKResidual(f, "rk4", t0=t0, name=f"at_{t0}") for t0 in (0, 1))
    assert numpy(one(y)).shape == (2, *shape)
    assert np.any(numpy(one(y)) != numpy(other(y)))


@pytest.mark.parametrize("wrapped", [False, True])
def test_concat_time_hands_the_mask_on(wrapped):
    lstm = keras.layers.LSTM(3, return_sequences=True)
    f = ConcatTime(keras.Sequential([lstm]) if wrapped else lstm)
    layer, y = RKResidual(f, "euler"), normal(2, 4, 3)
    mask = np.array([[True, True, False, False]] * 2)
    with_time = np.concatenate([y, np.zeros((2, 4, 1), "float32")], axis=-1)
    masked = numpy(layer(y, mask=ops.convert_to_tensor(mask)))
    expected = y + numpy(lstm(with_time, mask=ops.convert_to_tensor(mask)))
    np.testing.assert_allclose(masked, expected, rtol=1e-5, atol=1e-6)
    assert np.any(np.abs(masked - numpy(layer(y))) > 1e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("learned", ["trainable_dt", "trainable_tableau"])
@pytest.mark.parametrize("make", [RKResidual, lambda f, *a, **k: RKStack(f, 2, *a, **k)])
def test_the_time_of_methods_that_are_learned(make, learned, steps, mode):
    fixed = make(Pendulum(), "rk4", dt=0.25, steps=steps, t0=1)
    layer = make(Pendulum(), "rk4", dt=0.25, steps=steps, t0=1, **{learned: True})
    layer.build((None, 3))
    y = normal(4, 3)
    expected = numpy(fixed(y))
    np.testing.assert_allclose(numpy(call_in(mode, layer, y)), expected, rtol=1e-5, atol=1e-6)


def test_concat_time_trains_and_survives(tmp_path):
    layer = RKResidual(ConcatTime(dense(3)), "heun2", dt=0.1, steps=3, t0="1/3")
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile("adam", "mse")
    before = numpy(layer.layer.layer.kernel)
    model.fit(normal(8, 3), normal(8, 3, seed=1), verbose=0)
    assert np.all(numpy(layer.layer.layer.kernel) != before)
    model.save(tmp_path / "model.keras")
    other = keras.saving.load_model(tmp_path / "model.keras")
    assert other.layers[0].t0 == "1/3"
    y = normal(4, 3)
    np.testing.assert_array_equal(numpy(other(y)), numpy(model(y)))


@pytest.mark.parametrize("axis", ["last", 0.5, None, True])
def test_concat_time_refuses_an_axis_that_is_none(axis):
    with pytest.raises(ValueError, match="`axis` must be an integer"):
        ConcatTime(dense(3), axis=axis)
