"""refine: blocks of a stack split where the local error is large, merged where it is small."""

import keras
import numpy as np
import pytest

import keras_rk
from keras_rk import tableaux
from keras_rk.layers import ConcatTime, RKResidual, RKStack
from keras_rk.models.adaptive_depth import _with_changes
from keras_rk.models.block_errors import _nearest, block_errors, estimating_pair
from keras_rk.models.depth_changes import Change
from keras_rk.models.depth_selection import chosen_changes, most_within
from keras_rk.models.method_replacement import copy_with_method
from tests.html_helpers import parsed
from tests.keras_helpers import batch_normalized, dense, dropped_out, normal, numpy, slow

DATA = normal(8, 3)


def model_of(*stacks):
    return keras.Sequential([keras.Input((3,)), *stacks])


def stack(f=None, tableau="rk4", dt=(0.5, 1.0, 0.25), name="stack", **kwargs):
    return RKStack(f or dense(3, seed=None), len(dt), tableau, list(dt), name=name, **kwargs)


def changed(model, *changes, interpolated=False):
    source = copy_with_method(model)
    return _with_changes(source, ["stack"], [Change("stack", *c) for c in changes], interpolated)


def step(tableau, f, y, dt):
    """One step by the formula; also with the embedded weights."""
    method = tableaux.get(tableau).to_numpy("float64")
    k = []
    for row in method.A:
        k.append(f(y + dt * sum(a * x for a, x in zip(row, k, strict=False))))
    weights = [b for b in (method.b, method.b_hat) if b is not None]
    return [y + dt * sum(b * x for b, x in zip(w, k, strict=True)) for w in weights]


@pytest.mark.parametrize("tableau", ["heun2", "bogacki_shampine32"])
def test_errors_are_those_of_each_block_along_the_network(tableau):
    layer = stack(tableau=tableau)
    model = model_of(layer)
    found = block_errors(copy_with_method(model), ["stack"], DATA, 3)["stack"]
    kernels, biases = (numpy(w).astype("float64") for w in layer.weights[:2])
    y, expected = DATA.astype("float64"), []
    for kernel, bias, dt in zip(kernels, biases, (0.5, 1.0, 0.25), strict=True):

        def f(y, kernel=kernel, bias=bias):
            return np.tanh(y @ kernel + bias)

        y_next, *embedded = step(tableau, f, y, dt)
        halves = step(tableau, f, step(tableau, f, y, dt / 2)[0], dt / 2)[0]
        other = embedded[0] if embedded else halves
        expected.append(np.sqrt(np.mean((y_next - other) ** 2)))
        y = y_next
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)


def test_estimates_take_the_statistics_of_the_same_or_the_nearest_evaluation():
    """Stages at 0 and 1; those of the step, then those of the halves: 1/2, 1/2 and 1."""
    old = stack(batch_normalized(), "heun2", steps=2)
    model = model_of(old)
    new = stack(batch_normalized(), estimating_pair(old)[0], steps=2, error_estimate=True)
    model_of(new)
    assert _nearest(old, new) == [0, 1, 0, 0, 1, 2, 3, 2, 2, 3]
    assert np.all(block_errors(copy_with_method(model), ["stack"], DATA, None)["stack"] > 0)


KINDS = {
    "normalized": lambda: stack(batch_normalized(), "heun2", steps=2),
    "normalized, one evaluation": lambda: stack(batch_normalized(), "euler"),
    "time": lambda: stack(ConcatTime(dense(3, seed=None)), "heun2", t0=1),
    "simplex": lambda: stack(trainable_dt="simplex"),
    "channel": lambda: stack(trainable_dt="channel"),
    "learned": lambda: stack(tableau="heun2", trainable_tableau=True),
}


@pytest.mark.parametrize(
    "kind",
    ["normalized", "time", "simplex", "learned", *slow("normalized, one evaluation", "channel")],
)
def test_split_blocks_compute_what_substeps_do_and_merging_takes_it_back(kind):
    layer = KINDS[kind]()
    model = model_of(layer)
    for variable in layer.variables:  # all different from block to block
        if "float" in variable.dtype and variable.name != "coefficients":
            variable.assign(np.abs(0.5 * normal(*variable.shape, seed=len(variable.path))) + 0.1)
    finer = changed(model, (0, True), (1, True), (2, True))
    expected = numpy(keras_rk.with_method(model, substeps=2)(DATA))
    np.testing.assert_allclose(numpy(finer(DATA)), expected, rtol=1e-4, atol=1e-5)
    assert finer.get_layer("stack").dt == (0.25, 0.25, 0.5, 0.5, 0.125, 0.125)
    again = changed(finer, (0, False), (2, False), (4, False))
    assert again.get_layer("stack").dt == layer.dt
    np.testing.assert_allclose(again.get_layer("stack").step_sizes, layer.step_sizes, rtol=1e-5)
    np.testing.assert_allclose(numpy(again(DATA)), numpy(model(DATA)), rtol=1e-4, atol=1e-5)


def test_merged_blocks_are_the_mean_weighted_by_their_sizes():
    layer = stack(dt=("1/2", "3/2", 1), trainable_dt="simplex")
    model = model_of(layer)
    next(w for w in layer.weights if w.name == "log_dt_ratio").assign([0.3, -0.4, 1.0])
    one, other, last = layer.step_sizes
    new = changed(model, (0, False), (2, True)).get_layer("stack")
    assert new.dt == (2, "1/2", "1/2")
    np.testing.assert_allclose(new.step_sizes, [one + other, last / 2, last / 2], rtol=1e-5)
    kernels = numpy(layer.weights[0])
    mean = (one * kernels[0] + other * kernels[1]) / (one + other)
    expected = np.stack([mean, kernels[2], kernels[2]])
    np.testing.assert_allclose(numpy(new.weights[0]), expected, rtol=1e-4, atol=1e-6)


def test_interpolated_weights_are_linear_in_depth():
    layer = stack(dt=(1.0, 3.0))
    new = changed(model_of(layer), (0, True), (1, True), interpolated=True).get_layer("stack")
    kernels = numpy(layer.weights[0])
    places = np.array([0.25, 0.75, 1.75, 3.25])  # the middles; those of the old blocks: 0.5, 2.5
    shares = np.clip((places - 0.5) / 2, 0, 1)[:, None, None]
    expected = (1 - shares) * kernels[0] + shares * kernels[1]
    np.testing.assert_allclose(numpy(new.weights[0]), expected, rtol=1e-5, atol=1e-6)


def test_halves_draw_other_random_numbers_and_keep_what_is_frozen():
    layer = stack(dropped_out())
    layer_model = model_of(layer)
    layer.weights[0].trainable = False
    new = changed(layer_model, (0, True)).get_layer("stack")
    seeds = next(numpy(v) for v in new.variables if v.name.endswith("seed_generator_state"))
    before = next(numpy(v) for v in layer.variables if v.name.endswith("seed_generator_state"))
    np.testing.assert_array_equal(seeds[[0, 2, 3]], before)
    assert len(np.unique(seeds[:, 0])) == 4
    assert [w.trainable for w in new.weights[:2]] == [False, True]


ERRORS = {"a": np.array([4.0, 1.0, 1.0, 2.0]), "b": np.array([8.0, 0.0])}
CHOSEN = {  # splits and merges as (stack, block)
    "one": (1, 0, ["b0"], []),
    "half of all errors": (0.5, 0, ["b0"], []),
    "more than half": (0.6, 0, ["b0", "a0"], []),
    "all that have an error": (1.0, 0, ["b0", "a0", "a3", "a1", "a2"], []),
    "more than there are": (9, 0, ["b0", "a0", "a3", "a1", "a2", "b1"], []),
    "pairs": (
        1,
        2,
        ["b0"],
        [
            "a1",
        ],
    ),
    "pairs only": (0, 9, [], ["a1", "b0"]),
    "a share of pairs": (0, 0.125, [], ["a1"]),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_what_is_chosen(case):
    split, merge, splits, merges = CHOSEN[case]
    sizes = {name: np.ones(len(found)) for name, found in ERRORS.items()}
    sizes["a"][0] = -1  # so that it has no partner
    changes = chosen_changes(ERRORS, sizes, split, merge)
    assert [f"{c.stack}{c.block}" for c in changes if c.is_split] == splits
    assert [f"{c.stack}{c.block}" for c in changes if not c.is_split] == merges


@pytest.fixture(scope="module")
def refined():
    """Two stacks, of which one is refined."""
    x = keras.Input((3,))
    y = stack(tableau="heun2", dt=(0.1, 1.0, 0.2, 0.1), name="first")(x)
    y = keras.layers.BatchNormalization()(y)
    outputs = keras.layers.Dense(1)(stack(name="second")(y))
    model = keras.Model(x, outputs, name="network")
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    model.train_on_batch(DATA, DATA[:, :1])
    before = model.get_weights()
    new, report = keras_rk.refine(
        model, DATA, split=1, merge=1, tolerance=0.9, stacks="first", verbose=0
    )
    return model, before, new, report


def test_outputs_change_by_what_the_report_says(refined):
    model, before, new, report = refined
    old, now = (one.predict(DATA, verbose=0) for one in (model, new))
    change = np.sqrt(np.mean((now - old) ** 2) / np.mean(old**2))
    assert report.change == pytest.approx(change, rel=1e-3)
    assert 0 < change <= 0.9
    assert report.splits == 1
    assert report.depths == {"first": (4, 5 - report.merges)}
    assert new.get_layer("second").depth == 3
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_report_names_every_block(refined):
    *_, report = refined
    assert parsed(report._repr_html_()).rows[0] == ["block", "dt", "error", "becomes"]
    text = str(report)
    assert text.startswith("network: 1 block split, 1 pair merged\n  outputs changed by ")
    assert "first: 4 blocks, now 4; errors by two half-steps" in text
    assert [one.block for one in report.blocks] == [0, 1, 2, 3]
    assert [one.became for one in report.blocks] == [(0,), (1, 2), (3,), (3,)]
    assert np.argmax(report.errors) == 1
    assert report.to_dict()["blocks"][1]["became"] == [1, 2]


@pytest.mark.parametrize(
    ("limit", "made"), [(1.0, 9), (0.9, 9), (0.85, 8), (0.3, 3), (0.19, 1), (0.05, None)]
)
def test_as_many_changes_are_made_as_the_tolerance_allows(limit, made):
    def trial(count):
        return f"model {count}", count / 10

    if made is None:
        with pytest.raises(ValueError, match=r"change of 0.1 by the first one alone"):
            most_within(trial, 9, limit)
        return
    assert most_within(trial, 9, limit) == (f"model {made}", made, made / 10)


def test_the_new_model_is_compiled_and_saved_like_the_old_one(refined, tmp_path):
    _, _, new, _ = refined
    assert float(numpy(new.optimizer.learning_rate)) == pytest.approx(0.01)
    assert int(numpy(new.optimizer.iterations)) == 0
    assert set(new.train_on_batch(DATA, DATA[:, :1], return_dict=True)) == {"loss", "mae"}
    new.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(loaded(DATA)), numpy(new(DATA)), rtol=1e-5, atol=1e-6)


def residual():
    return RKResidual(dense(3), name="stack")


def called_with_times():
    y, times = keras.Input((3,)), keras.Input((5,))
    layer = RKStack(dense(3), 4, "heun2", name="stack")
    return keras.Model([y, times], layer(y, times=times))


REFUSED = {
    "times of a call": (called_with_times, {}, "one more than blocks"),
    "a layer": (lambda: stack(), {}, "needs a Keras model that is built"),
    "no stack": (lambda: model_of(residual()), {}, "substeps=2"),
    "one name for two": (
        lambda: model_of(stack(), keras.Sequential([keras.Input((3,)), stack()])),
        {},
        "2 layers 'stack'",
    ),
    "another name": (lambda: model_of(stack()), {"stacks": ["other"]}, "There are: 'stack'"),
    "after": (
        lambda: model_of(stack(after=keras.layers.BatchNormalization())),
        {},
        "a layer `after` each block",
    ),
    "states": (lambda: model_of(stack(return_states=True)), {}, "return_states"),
    "methods inside": (lambda: model_of(stack(RKResidual(dense(3)))), {}, "layer inside f"),
    "nothing to do": (lambda: model_of(stack()), {"split": 0}, "nothing to do"),
    "a negative number": (lambda: model_of(stack()), {"split": -1}, "must be an integer"),
    "too large a share": (lambda: model_of(stack()), {"merge": 1.5}, "float from 0 to 1"),
    "a truth value": (lambda: model_of(stack()), {"split": True}, "must be an integer"),
    "no tolerance": (lambda: model_of(stack()), {"tolerance": 0}, "above 0"),
    "other weights": (lambda: model_of(stack()), {"weights": "copied"}, "must be one of"),
    "data read once": (lambda: model_of(stack()), {"data": iter([DATA])}, "only once"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    make, arguments, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        keras_rk.refine(make(), **{"data": DATA, "verbose": 0, **arguments})


def test_blocks_without_errors_are_not_chosen_from():
    with pytest.raises(ValueError, match="finite and not all zero"):
        chosen_changes({"a": np.zeros(2)}, {"a": np.ones(2)}, 1, 0)
    with pytest.raises(ValueError, match="No pair of neighbours"):
        chosen_changes({"a": np.ones(2)}, {"a": np.array([1.0, -1.0])}, 0, 1)
