"""Moving statistics and seeds of f over its evaluations."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import BACKEND, MODES, call_in, dense, normal, numpy, slow

DEPTH = 3
UPDATES = 4  # after which statistics are settled: 1e-8 is left of where they began


def normalized(momentum=0.01):
    return keras.Sequential([dense(3), keras.layers.BatchNormalization(momentum=momentum)])


def residual(f, *args, **kwargs):
    return RKResidual(f, *args, **{"dt": 0.3, **kwargs})


def stack(f, *args, **kwargs):
    return RKStack(f, DEPTH, *args, seed=1, **{"dt": 0.3, **kwargs})


LAYERS = [residual, stack]
BATCH = normal(32, 3, seed=5)


def settled(layer, mode="eager"):
    """A layer whose statistics are those of one batch."""
    if not layer.built:
        layer.build((None, 3))
    for _ in range(UPDATES):
        call_in(mode, layer, BATCH, training=True)
    return layer


def difference(layer):
    """The largest difference between training and inference."""
    results = [numpy(layer(BATCH, training=training)) for training in (True, False)]
    return np.abs(results[0] - results[1]).max()


@pytest.mark.parametrize("steps", [1, 3, *slow(8)])
@pytest.mark.parametrize("make", LAYERS)
def test_inference_repeats_training(make, steps):
    # The same time through all blocks, so that y and its round-off do not grow with them.
    dt = 0.3 if make is residual else 0.3 / DEPTH
    assert difference(settled(make(normalized(), "rk4", dt=dt, steps=steps))) < 1e-5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("make", LAYERS)
def test_inference_repeats_training_where_it_is_compiled(make, mode):
    assert difference(settled(make(normalized(), "heun2", steps=2), mode)) < 1e-5


@pytest.mark.slow
def test_inference_repeats_training_in_a_long_loop():
    assert difference(settled(residual(normalized(), "heun2", steps=50))) < 1e-4


@pytest.mark.parametrize("state", ["shared", "first"])
def test_one_set_of_statistics_fits_no_evaluation(state):
    assert difference(settled(residual(normalized(), "rk4", steps=3, state=state))) > 1e-3


def test_the_first_stage_updates_alone():
    """With one step, the statistics are those of f at y itself."""
    layer = settled(residual(normalized(), "rk4", state="first"))
    by_hand = normalized()
    by_hand(BATCH)
    by_hand.set_weights(layer.layer.get_weights())
    for _ in range(UPDATES):
        by_hand(BATCH, training=True)
    for ours, theirs in zip(layer.layer.variables, by_hand.variables, strict=True):
        np.testing.assert_allclose(numpy(ours), numpy(theirs), rtol=1e-5, atol=1e-6)


def test_shared_statistics_are_updated_in_turn():
    layer, f = residual(normalized(), "midpoint", state="shared"), normalized()
    layer.build((None, 3))
    f.build((None, 3))
    f.set_weights(layer.layer.get_weights())
    layer(BATCH, training=True)
    f(BATCH + 0.15 * numpy(f(BATCH, training=True)), training=True)
    for ours, theirs in zip(layer.layer.variables, f.variables, strict=True):
        np.testing.assert_allclose(numpy(ours), numpy(theirs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("tableau, steps, sets", [("rk4", 2, 8), ("euler", 3, 3), ("euler", 1, 1)])
def test_there_is_one_set_for_each_evaluation(make, tableau, steps, sets):
    layer = make(normalized(), tableau, steps=steps)
    layer.build((None, 3))
    assert len(layer.trainable_variables) == 4
    blocks = DEPTH if make is stack else 1
    numbers = sum(int(np.prod(v.shape)) for v in layer.non_trainable_variables)
    assert numbers == 2 * 3 * sets * blocks


class Counting(keras.layers.Layer):
    """A moving statistic, a number that nothing assigns to, and counters."""

    def build(self, input_shape):
        self.seen = self.add_weight((), initializer="zeros", trainable=False, name="seen")
        self.scale = self.add_weight((), initializer="ones", trainable=False, name="scale")
        self.rate = self.add_weight((), initializer="ones", trainable=False, name="rate")
        self.calls = self.add_weight(
            (), initializer="zeros", dtype="int32", trainable=False, name="calls"
        )

    def call(self, y, training=None):
        if training:
            self.seen.assign(ops.mean(y))
            self.calls.assign(self.calls + 1)
            self.rate.assign(self.rate / 2)
        return ops.ones_like(y) * self.scale

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("make", LAYERS)
def test_only_moving_statistics_are_multiplied(make):
    layer = make(Counting(), "rk4")
    layer.build((None, 3))
    layer(np.zeros((2, 3), "float32"), training=True)
    names = [weight.name for weight in layer.statistics.weights]
    assert [name.split("_")[-1] for name in names] == ["seen"]
    values = numpy(layer.statistics.weights[0])
    first = values if make is residual else values[0]
    np.testing.assert_allclose(first, [0.15, 0.15, 0.3], rtol=1e-6)
    calls = next(v for v in layer.variables if v.name.endswith("calls"))
    assert np.all(numpy(calls) == 4)
    rate = next(v for v in layer.variables if v.name.endswith("rate"))
    assert np.all(numpy(rate) == 1 / 16)


@pytest.mark.parametrize(
    "make_f",
    [
        lambda: keras.layers.SpectralNormalization(dense(3)),
        lambda: keras.layers.Normalization(mean=0.5, variance=2.0),
        lambda: keras.Sequential([dense(3), keras.layers.Dropout(0.3, seed=1)]),
        lambda: dense(3, trainable=False),
    ],
    ids=["spectral", "normalization", "seed", "frozen"],
)
def test_what_is_no_moving_statistic(make_f):
    layer = residual(make_f(), "rk4", steps=2)
    layer.build((None, 3))
    assert layer.statistics is None


@pytest.mark.parametrize("make", LAYERS)
def test_weights_that_are_zero_at_first_hide_no_statistics(make):
    zero = keras.layers.Dense(3, kernel_initializer="zeros")
    layer = make(keras.Sequential([zero, keras.layers.BatchNormalization()]), "heun2")
    layer.build((None, 3))
    assert len(layer.statistics.weights) == 2


def test_frozen_weights_that_are_zero_hide_no_statistics():
    zero = keras.layers.Dense(3, kernel_initializer="zeros", trainable=False)
    layer = residual(keras.Sequential([zero, keras.layers.BatchNormalization()]), "heun2")
    layer.build((None, 3))
    assert len(layer.statistics.weights) == 2


def test_statistics_of_f_with_unknown_dimensions():
    f = keras.Sequential(
        [keras.layers.Conv1D(3, 3, padding="same"), keras.layers.BatchNormalization()]
    )
    layer = residual(f, "heun2")
    layer.build((None, None, 3))
    assert len(layer.statistics.weights) == 2


def test_statistics_that_are_frozen_when_built_settle_once_they_are_not():
    layer = residual(normalized(), "rk4")
    layer.layer.layers[1].trainable = False
    layer.build((None, 3))
    layer(BATCH, training=True)
    assert np.all(numpy(layer.statistics.weights[0]) == 0)
    layer.layer.layers[1].trainable = True
    assert difference(settled(layer)) < 1e-5


def test_statistics_without_weights_move_again_once_unfrozen():
    bare = keras.layers.BatchNormalization(center=False, scale=False, momentum=0.01)
    layer = residual(keras.Sequential([dense(3), bare]), "heun2", steps=3)
    layer.build((None, 3))
    bare.trainable = False
    layer(BATCH, training=True)
    bare.trainable = True
    assert difference(settled(layer)) < 1e-5


def test_freezing_stops_all_sets():
    layer = settled(residual(normalized(), "rk4"))
    layer.trainable = False
    before = [numpy(v) for v in layer.variables]
    layer(2 * BATCH + 1, training=True)
    np.testing.assert_equal([numpy(v) for v in layer.variables], before)


# -------------------------------------------------------------------------- saved and loaded


def saved(layer, path):
    model = keras.Sequential([keras.Input((3,)), layer])
    model.save_weights(path)
    return model


@pytest.mark.parametrize("make", LAYERS)
def test_weights_load_into_the_same_layer_exactly(make, tmp_path):
    path = tmp_path / "saved.weights.h5"
    model = saved(settled(make(normalized(), "rk4", steps=2)), path)
    other = keras.Sequential([keras.Input((3,)), make(normalized(), "rk4", steps=2)])
    other.load_weights(path)
    np.testing.assert_array_equal(*(numpy(m(BATCH, training=False)) for m in (model, other)))


@pytest.mark.parametrize("make", LAYERS)
def test_finer_steps_start_from_the_step_that_they_refine(make, tmp_path):
    path = tmp_path / "saved.weights.h5"
    layer = settled(make(normalized(), "heun2", steps=2))
    saved(layer, path)
    finer = make(normalized(), "heun2", steps=4)
    keras.Sequential([keras.Input((3,)), finer]).load_weights(path)
    for ours, theirs in zip(finer.statistics.all(), layer.statistics.all(), strict=True):
        axis = 0 if make is residual else 1
        by_step = [np.split(numpy(x), n, axis) for x, n in ((ours, 4), (theirs, 2))]
        for step in range(4):
            np.testing.assert_array_equal(by_step[0][step], by_step[1][step // 2])


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize(
    "source, target",
    [
        ({"tableau": "rk4"}, {"tableau": "euler"}),
        ({"tableau": "euler"}, {"tableau": "rk4", "steps": 2}),
        ({"tableau": "rk4"}, {"tableau": "rk4", "state": "shared"}),
        ({"tableau": "rk4", "state": "first"}, {"tableau": "rk4"}),
        ({"tableau": "rk8"}, {"tableau": "heun2"}),
    ],
)
def test_weights_load_into_other_methods(make, source, target, tmp_path):
    path = tmp_path / "saved.weights.h5"
    layer = settled(make(normalized(), **source))
    saved(layer, path)
    other = make(normalized(), **target)
    keras.Sequential([keras.Input((3,)), other]).load_weights(path)
    for ours, theirs in zip(other.trainable_variables, layer.trainable_variables, strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(theirs))
    first = [v for v in layer.non_trainable_variables if "moving" in v.name][:2]
    sets = [v for v in other.non_trainable_variables if "moving" in v.name]
    for ours, theirs in zip(sets[:2], first, strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(theirs))
    for variable in sets[2:]:
        assert np.all(np.abs(numpy(variable)).max(-1) > 1e-3)  # not what they were built with


def test_a_file_of_another_layer_is_refused():
    layer = residual(keras.Sequential([normalized(), normalized()]), "rk4")
    layer.build((None, 3))
    with pytest.raises(ValueError, match="has 4 moving statistics"):
        layer.statistics.load_own_variables({"0": np.zeros((3, 3))})


@pytest.mark.parametrize("make", LAYERS)
def test_models_save_and_load(make, tmp_path):
    model = keras.Sequential([keras.Input((3,)), make(normalized(), "rk4", steps=2)])
    settled(model.layers[0])
    model.save(tmp_path / "model.keras")
    other = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(*(numpy(m(BATCH, training=False)) for m in (model, other)))


def test_blocks_keep_their_statistics_when_unstacked():
    layer = settled(stack(normalized(), "rk4", steps=2))
    y = BATCH
    blocks = layer.unstack()
    for block in blocks:
        y = block(y, training=False)
    expected = numpy(layer(BATCH, training=False))
    np.testing.assert_allclose(numpy(y), expected, rtol=1e-5, atol=1e-5)
    again = RKStack.from_layers(blocks)
    np.testing.assert_allclose(numpy(again(BATCH, training=False)), expected, rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------------------------- noise


class Noise(keras.layers.Layer):
    """k = random numbers, so that the result shows how often they were drawn."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, y):
        return keras.random.normal(ops.shape(y), seed=self.generator)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


def steps_of_noise(noise, mode, steps=3):
    """y after each step, from zero, of the midpoint method: y + k_2."""
    layer = RKResidual(Noise(3), "midpoint", steps=steps, noise=noise, return_states=True)
    layer.build((None, 4))
    states = numpy(call_in(mode, layer, np.zeros((2, 4), "float32")))
    return np.diff(states, axis=1), int(numpy(layer.layer.generator.state)[1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps", [1, 3, 40])
@pytest.mark.parametrize("noise, draws", [("per_step", 1), ("per_stage", 2)])
def test_how_often_a_seed_is_drawn_from(noise, draws, steps, mode):
    increments, drawn = steps_of_noise(noise, mode, steps)
    assert drawn == draws * steps
    if mode == "jit" and BACKEND == "tensorflow":
        return  # XLA makes other numbers of a seed
    generator = keras.random.SeedGenerator(3)
    for step in range(min(steps, 3)):
        stages = [numpy(keras.random.normal((2, 4), seed=generator)) for _ in range(draws)]
        np.testing.assert_allclose(increments[:, step], stages[-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 3, 40])
@pytest.mark.parametrize("noise, draws", [("per_step", 1), ("per_stage", 2)])
def test_how_often_a_seed_outside_of_f_is_drawn_from(noise, draws, steps):
    generators = [keras.random.SeedGenerator(3) for _ in range(2)]
    f = keras.layers.Lambda(lambda y: keras.random.normal((2, 4), seed=generators[0]))
    layer = RKResidual(f, "midpoint", steps=steps, noise=noise)
    result = numpy(layer(np.zeros((2, 4), "float32")))
    assert int(numpy(generators[0].state)[1]) == draws * steps
    total = np.zeros((2, 4))
    for _ in range(steps):
        stages = [numpy(keras.random.normal((2, 4), seed=generators[1])) for _ in range(draws)]
        total += stages[-1]
    np.testing.assert_allclose(result, total, rtol=1e-4, atol=1e-5)


class Kept(keras.layers.Layer):
    """k = y + a mask that dropout draws."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.dropout = keras.layers.Dropout(0.5, seed=seed)
        self.built = True

    def call(self, y, training=None):
        return self.dropout(ops.ones_like(y), training=training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("steps", [1, 4, 40])
def test_all_stages_of_a_step_drop_the_same(steps, seed, mode):
    """Then each increment, dt times a weighted sum of masks, is 0 or 2 dt."""
    layer = RKResidual(Kept(seed), "rk4", dt=0.5, steps=steps, return_states=True)
    layer.build((None, 50))
    states = numpy(call_in(mode, layer, np.zeros((2, 50), "float32"), training=True))
    increments = np.diff(states, axis=1)
    assert set(np.round(np.unique(increments), 4)) == {0, 1}
    if steps > 1:
        assert np.any(increments[:, 0] != increments[:, 1])


@pytest.mark.parametrize("seed", [None, 7])
def test_stages_may_drop_differently(seed):
    layer = RKResidual(Kept(seed), "rk4", dt=0.5, noise="per_stage")
    layer.build((None, 50))
    values = numpy(layer(np.zeros((2, 50), "float32"), training=True))
    assert len(set(np.round(values.ravel(), 4))) > 4


@pytest.mark.parametrize("seed", [None, 7])
def test_a_second_call_draws_anew(seed):
    layer = RKResidual(Kept(seed), "rk4", dt=0.5)
    layer.build((None, 50))
    y = np.zeros((2, 50), "float32")
    assert np.any(numpy(layer(y, training=True)) != numpy(layer(y, training=True)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", [None, 7])
def test_all_stages_of_a_block_drop_the_same(seed, mode):
    layer = RKStack(Kept(seed), 4, "rk4", dt=0.5, return_states=True)
    layer.build((None, 50))
    states = numpy(call_in(mode, layer, np.zeros((2, 50), "float32"), training=True))
    increments = np.diff(states, axis=1)
    assert set(np.round(np.unique(increments), 4)) == {0, 1}
    assert np.any(increments[:, 0] != increments[:, 1])


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("name", ["state", "noise", "remat"])
def test_unknown_policies_are_refused(make, name):
    with pytest.raises(ValueError, match=f"`{name}` must be one of"):
        make(dense(3), **{name: "never"})
