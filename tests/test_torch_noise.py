"""Random numbers in traced loops of PyTorch: those that Python code draws.

All stages of a step draw the same. In Python the generator is turned back for that; in a trace, a
later stage takes the numbers of the first one.
"""

import keras
import pytest

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import BACKEND, numpy

if BACKEND != "torch":
    pytest.skip("traces of PyTorch", allow_module_level=True)

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from keras_rk.loops import torch_loops
from tests.test_torch_traces import Function, close, is_traced, tensor, weighted

L = keras.layers
METHODS = ["euler", "heun2", "rk4"]
NATIVE = {
    "normal": lambda y: torch.sin(y) * torch.randn_like(y),
    "uniform": lambda y: y * torch.rand(4) + torch.rand(3, 1),
    "attention": lambda y: torch.nn.functional.scaled_dot_product_attention(y, y, y, dropout_p=0.5),
}


class Native(L.Layer):
    """f in PyTorch."""

    def __init__(self, kind, **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def call(self, y):
        return NATIVE[self.kind](y)

    def compute_output_spec(self, y):
        return keras.KerasTensor(y.shape, dtype=y.dtype)


FIELDS = {
    "half": lambda: L.Dropout(0.5),  # PyTorch leaves out the argument that is its default
    "some": lambda: keras.Sequential([L.Dense(4), L.Dropout(0.2), L.Dense(4)]),
    "twice": lambda: keras.Sequential([L.Dropout(0.1), L.Dense(4, "tanh"), L.Dropout(0.4)]),
    "steps within": lambda: RKResidual(L.Dropout(0.3), "heun2", 0.1, steps=3),
    **{name: lambda name=name: Native(name) for name in NATIVE},
}


def layer_of(kind, f, method):
    if kind == "blocks":
        return RKStack(f, 3, method, 0.2)
    return RKResidual(f, method, 0.2, steps=3)


def results(layer, y, further=False):
    """The value, its gradients, if wanted those of a gradient penalty; and the generator then."""
    weights = [variable.value for variable in layer.trainable_weights]
    torch.manual_seed(7)
    value = layer(y, training=True)
    gradients = torch.autograd.grad(weighted(value), [y, *weights], create_graph=further)
    found = [value, *gradients]
    if further:
        found += torch.autograd.grad(torch.sum(gradients[0] ** 2), [y, *weights], allow_unused=True)
    return [x for x in found if x is not None], torch.random.get_rng_state()


def assert_equal(found, expected, tolerance):
    for one, other in zip(found[0], expected[0], strict=True):
        close(one, other, tolerance)
    assert torch.equal(found[1], expected[1])


def assert_draws_as_python_does(monkeypatch, layer, y, tolerance, further=False):
    found = results(layer, y, further)
    monkeypatch.setattr(torch_loops, "lookup", lambda *_: None)
    assert_equal(found, results(layer, y, further), tolerance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("kind", ["steps", "blocks"])
def test_a_trace_draws_what_python_draws(monkeypatch, kind, name, method):
    layer = layer_of(kind, FIELDS[name](), method)
    y = tensor(2, 3, 4, grad=True)
    layer(y, training=True)
    assert is_traced(layer)
    assert_draws_as_python_does(monkeypatch, layer, y, 1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["twice", "normal"])
def test_gradients_of_gradients(monkeypatch, name, method):
    """They are computed in Python from the same random numbers, whatever was drawn since then."""
    layer = layer_of("steps", FIELDS[name](), method)
    y = tensor(2, 3, 4, grad=True)
    layer(y, training=True)
    assert is_traced(layer)
    assert_draws_as_python_does(monkeypatch, layer, y, 1e-4, further=True)


@pytest.mark.parametrize("method", METHODS)
def test_gradients_of_gradients_at_a_transposed_y(method):
    """Numbers are drawn in the order of memory, and a trace sees contiguous tensors alone."""
    layer = layer_of("steps", L.Dropout(0.5), method)
    y = tensor(5, 4).t().requires_grad_()
    value = weighted(layer(y, training=True))
    assert is_traced(layer)
    (once,) = torch.autograd.grad(value, y, retain_graph=True)
    (again,) = torch.autograd.grad(value, y, create_graph=True)
    close(once, again)


def test_attention_that_drops_nothing_draws_nothing():
    """PyTorch 2.13 says of all attention that it is random; without dropout it is not."""
    y = keras.Input((5, 4))
    f = keras.Model(y, L.MultiHeadAttention(2, 3)(y, y))
    layer = RKResidual(f, "rk4", 0.1, steps=3)
    state = torch.random.get_rng_state()
    layer(tensor(2, 5, 4))
    (trace,) = layer.loop.traces.values()
    assert not trace.is_random
    assert torch.equal(state, torch.random.get_rng_state())


class Generated(L.Layer):
    """Draws from a generator of its own, which advances from stage to stage."""

    def __init__(self):
        super().__init__()
        self.generator = torch.Generator()

    def call(self, y):
        return y * torch.rand(y.shape, generator=self.generator)


def drawn_from_a_seed(y):
    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        return y * torch.rand(y.shape)


def drawn_twice(y):
    state = torch.random.get_rng_state()
    once = torch.rand(y.shape)
    torch.random.set_rng_state(state)
    return y * once + torch.rand(y.shape)


def seeded(y):
    noise = torch.rand(y.shape)
    torch.manual_seed(5)
    return y * noise


def of_a_range(y):
    """PyTorch calls this operation `random_.from`, which is no name in Python."""
    return y * torch.empty_like(y).random_(2, 5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "f", [Generated, *(lambda f=f: Function(f) for f in (drawn_from_a_seed, drawn_twice, seeded))]
)
def test_an_f_with_a_generator_or_a_seed_of_its_own_runs_in_python(f, method):
    f = f()
    layer = RKResidual(f, method, 0.1, steps=3)
    layer(tensor(2, 3))
    assert not is_traced(layer)


def test_an_operation_with_a_name_that_python_does_not_have():
    layer = RKResidual(Function(of_a_range), "heun2", 0.1, steps=3)
    layer(tensor(2, 3))
    assert not is_traced(layer)


class Watching(TorchDispatchMode):
    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        return operation(*arguments, **(options or {}))


def test_a_mode_inside_f(monkeypatch):
    inner = RKResidual(L.Dropout(0.5), "heun2", 0.5)

    def f(y):
        with Watching():
            return inner(y, training=True)

    layer = RKResidual(Function(f), "euler", 0.1, steps=3)
    y = tensor(4, 5, grad=True)
    layer(y, training=True)
    assert_draws_as_python_does(monkeypatch, layer, y, 1e-5)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_first_call_draws_as_later_ones_do(compiled):
    """Tracing and compiling run f, or its graph, once more."""
    layer = RKStack(L.Dropout(0.5), 3, "heun2", 0.5, jit_compile=compiled)
    y = tensor(4, 5, grad=True)
    layer.build(y.shape)
    assert_equal(results(layer, y), results(layer, y), 1e-6)


class Counting(L.Layer):
    """Draws as many numbers as there were calls."""

    calls = 0

    def call(self, y):
        self.calls = self.calls + 1
        for _ in range(self.calls):
            y = y * torch.rand(())
        return y


@pytest.mark.parametrize(
    "f",
    [
        Function(lambda y: torch.bernoulli(torch.sigmoid(y))),  # what is drawn depends on y
        Function(
            lambda y: y[:, :1] * torch.rand(2 + int(y.shape[0]) % 2)[:1] * torch.bernoulli(y**0)
        ),
        Counting(),
    ],
)
def test_what_no_trace_can_draw_is_drawn_in_python(f):
    layer = RKResidual(f, "heun2", 0.1, steps=3)
    y = tensor(2, 3)
    layer(y, training=True)
    assert not is_traced(layer)


def test_masks_are_new_in_each_step_and_the_same_within():
    """y' = M y with a mask M: after a step y is what it was, or (1 + 2 + 2) times as much."""
    layer = RKResidual(L.Dropout(0.5), "heun2", 1.0, steps=3)
    y = torch.ones(4, 60)
    found = layer(y, training=True)
    assert is_traced(layer)
    assert set(numpy(found).round(4).ravel()) == {1.0, 5.0, 25.0, 125.0}
