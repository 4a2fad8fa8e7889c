"""What PyTorch traces computes what the Python code does; what cannot be traced is not."""

import copy
import pickle
import threading

import keras
import numpy as np
import pytest
from keras import ops

from keras_rk.layers import RKResidual, RKStack
from tests.keras_helpers import (
    BACKEND,
    NativeDense,
    batch_normalized,
    dense,
    normal,
    numpy,
)

if BACKEND != "torch":
    pytest.skip("traces of PyTorch", allow_module_level=True)

import torch
from torch.utils.checkpoint import checkpoint

from keras_rk.loops import torch_traces


class Function(keras.layers.Layer):
    """f given as a Python function."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, y, *further):
        return self.function(y, *further)

    def compute_output_spec(self, y, *further, **kwargs):
        return keras.KerasTensor(y.shape, dtype=y.dtype)


def tensor(*shape, seed=0, grad=False):
    values = torch.as_tensor(normal(*shape, seed=seed))
    return values.requires_grad_() if grad else values


def euler(f, steps=2):
    """A layer, and the same in Python."""
    f = f if isinstance(f, keras.layers.Layer) else Function(f)

    def by_hand(y, *further, **kwargs):
        for _ in range(steps):
            y = y + f(y, *further, **kwargs)
        return y

    return RKResidual(f, "euler", steps=steps, state="shared"), by_hand


def is_traced(layer):
    """Whether all loops of the layer were traced, or none of them."""
    (answer,) = {trace is not None for trace in layer.loop.traces.values()}
    return answer


def weighted(y):
    return torch.sum(y * tensor(*y.shape, seed=9))


def close(one, other, tolerance=1e-6):
    np.testing.assert_allclose(numpy(one), numpy(other), rtol=tolerance, atol=tolerance)


def assert_same(ours, by_hand, *inputs, tolerance=1e-6):
    """Values, and gradients with respect to all inputs that require any."""
    results = ours(*inputs), by_hand(*inputs)
    close(*results, tolerance)
    wanted = [x for x in inputs if x.requires_grad]
    one, other = (torch.autograd.grad(weighted(result), wanted) for result in results)
    for a, b in zip(one, other, strict=True):
        close(a, b, tolerance)


# --------------------------------------------------------------------------- what f may consist of


class Tripled(torch.autograd.Function):
    """3 y, with a gradient that is not that of 3 y."""

    @staticmethod
    def forward(ctx, y):
        ctx.save_for_backward(y)
        return 3 * y

    @staticmethod
    def backward(ctx, upstream):
        return 0.5 * upstream * ctx.saved_tensors[0]


@ops.custom_gradient
def sine(y):
    def grad(*args, upstream=None):
        return 0.25 * (args[0] if upstream is None else upstream)

    return ops.sin(y), grad


def without_gradient(y):
    with torch.no_grad():
        scale = torch.mean(y**2)
    return y * scale


def with_hook(y):
    z = torch.sin(y)
    if z.requires_grad:
        z.register_hook(lambda gradient: 0.1 * gradient)
    return z


def in_place(y):
    z = 2 * torch.tanh(y)
    z[:, 0] = 0.5
    z[:, 1].add_(y[:, 2])
    return z.mul_(0.5)


def constant_written_in_place(y):
    factors = torch.tensor([1.0, 2.0, 3.0])
    return y * factors.mul_(0.5)


def squared_in_place(y):
    z = torch.relu(y)
    z *= z
    return z


def turned_in_place(y):
    z = torch.sin(y)
    w = 2 * z
    z.transpose_(0, 1)
    return w + z.T


def chosen_by_value(y):
    return 0.1 * y if float(ops.sum(y)) > 0 else -0.5 * torch.sin(y)


def chosen_by_tensor(y):
    return 0.1 * y if ops.sum(y) > 0 else -0.5 * torch.sin(y)


TABLE = torch.arange(3.0)

FUNCTIONS = {
    # name: f, whether it can be traced
    "own gradient": (Tripled.apply, True),
    "own gradient of Keras": (sine, True),
    "stopped": (lambda y: y * ops.stop_gradient(ops.sin(y)), True),
    "detached": (lambda y: y.detach() * 0.5, True),
    "no_grad": (without_gradient, True),
    "hook": (with_hook, True),
    "in place": (in_place, True),
    "constant written in place": (constant_written_in_place, True),
    "turned in place": (turned_in_place, False),
    "made constant": (lambda y: y * torch.tensor([1.0, 2.0, 3.0]), True),
    "array": (lambda y: y * ops.convert_to_tensor(np.arange(3, dtype="float32")), True),
    "found constant": (lambda y: y * TABLE, None),
    "float": (chosen_by_value, False),
    "bool": (chosen_by_tensor, False),
    "item": (lambda y: y * torch.max(y).item(), False),
    "tolist": (lambda y: y * max(y.tolist()[0]), False),
    "numpy": (lambda y: 0.1 * y * float(np.sin(ops.convert_to_numpy(y)).sum()), False),
    "equal": (lambda y: y if torch.equal(y, y.abs()) else -0.5 * y, False),
    "boolean index": (lambda y: y * torch.mean(y[y > 0]), False),
    "nonzero": (lambda y: y / (1 + torch.nonzero(y > 0).shape[0]), False),
    "unique": (lambda y: y / torch.unique(torch.round(y)).shape[0], False),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_on_one_batch_after_another(name):
    function, traceable = FUNCTIONS[name]
    ours, by_hand = euler(function)
    first = tensor(4, 3, grad=True)
    assert_same(ours, by_hand, first)
    assert_same(ours, by_hand, (-first.abs()).detach().requires_grad_())
    assert_same(ours, by_hand, (2 * first.abs()).detach().requires_grad_())
    assert traceable is None or is_traced(ours) == traceable


def test_a_gradient_that_pytorch_refuses_is_refused():
    """What relu needs for its gradient is gone: PyTorch says so, and a trace must not hide it."""
    ours, by_hand = euler(squared_in_place)
    for function in (ours, by_hand):
        y = tensor(4, 3, grad=True)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            function(y).sum().backward()


def test_both_branches_are_taken():
    ours, _ = euler(chosen_by_value, steps=2)
    close(ours(torch.ones(2, 3)), 1.21 * torch.ones(2, 3))
    assert float(ours(-torch.ones(2, 3)).max()) < 0
    close(ours(torch.ones(2, 3)), 1.21 * torch.ones(2, 3))


@pytest.mark.parametrize(
    "make", [dense, batch_normalized, lambda: dense(activity_regularizer="l2")]
)
def test_common_layers_are_traced(make):
    layer = RKResidual(make(), "heun2", steps=2)
    layer(tensor(4, 3), training=True)
    assert is_traced(layer)


def test_an_error_in_f_surfaces_as_itself():
    class Mine(Exception):
        pass

    def fail(y):
        raise Mine("from f")

    ours, _ = euler(fail)
    with pytest.raises(Mine, match="from f"):
        ours(tensor(4, 3))


class Remembering(keras.layers.Layer):
    def build(self, input_shape):
        self.seen = self.add_weight(input_shape, initializer="zeros", trainable=False)

    def call(self, y):
        self.seen.assign(y)
        return ops.sin(y)

    def compute_output_shape(self, input_shape):
        return input_shape


def test_y_saved_into_a_variable():
    ours, by_hand = euler(Remembering())
    y = tensor(4, 3, grad=True)
    assert_same(ours, by_hand, y)
    ours(y)
    close(ours.layer.seen.value, y + torch.sin(y))
    assert not ours.layer.seen.value.requires_grad


# -------------------------------------------------------------------- weights that nobody declares


class Module(keras.layers.TorchModuleWrapper):
    def compute_output_spec(self, y, **kwargs):
        return keras.KerasTensor(y.shape, dtype=y.dtype)


@pytest.mark.parametrize("mode", ["once", "again", "without a gradient first"])
def test_a_torch_module_in_f_is_trained(mode):
    module = torch.nn.Linear(3, 3)
    ours, by_hand = euler(Module(module))
    y = tensor(4, 3)
    if mode == "without a gradient first":
        with torch.no_grad():
            ours(y)
    for _ in range(2 if mode == "again" else 1):
        one, other = (
            torch.autograd.grad(weighted(f(y)), list(module.parameters())) for f in (ours, by_hand)
        )
        close(one[0], other[0])
        close(one[1], other[1])


def test_a_tensor_that_f_closes_over_is_differentiated():
    w = tensor(3, seed=4, grad=True)
    ours, by_hand = euler(lambda y: torch.sin(y * w))
    y = tensor(4, 3)
    close(*(torch.autograd.grad(weighted(f(y)), w)[0] for f in (ours, by_hand)))


def test_a_tensor_that_is_set_anew_before_each_call():
    f = Function(lambda y: y * f.context)
    f.context = tensor(4, 3)
    ours, by_hand = euler(f)
    y = tensor(4, 3, seed=1, grad=True)
    assert_same(ours, by_hand, y)
    f.context = tensor(4, 3, seed=2)
    assert_same(ours, by_hand, y)


def test_further_arguments_of_another_structure():
    def choose(y, options):
        return y * options["factor"] if "factor" in options else torch.sin(y + options["shift"])

    ours, by_hand = euler(choose)
    y, other = tensor(4, 3), tensor(4, 3, seed=1)
    close(ours(y, {"factor": other}), by_hand(y, {"factor": other}))
    close(ours(y, {"shift": other}), by_hand(y, {"shift": other}))


def test_freezing_between_calls():
    ours, _ = euler(dense())
    f, y = ours.layer, tensor(4, 3)
    assert ours(y).requires_grad
    f.trainable = False
    assert not ours(y).requires_grad
    f.trainable = True
    ours(y).sum().backward()
    assert float(f.kernel.value.grad.abs().sum()) > 0


def test_one_frozen_tensor():
    ours, by_hand = euler(dense())
    f, y = ours.layer, tensor(4, 3)
    ours(y)
    f.kernel.value.requires_grad_(False)
    one, other = (torch.autograd.grad(weighted(g(y)), f.bias.value)[0] for g in (ours, by_hand))
    close(one, other)


# ------------------------------------------------------------------------------------ derivatives


def shifted(y, context):
    return torch.sin(y) * context


@pytest.mark.parametrize("make", [dense, batch_normalized, lambda: Tripled.apply, lambda: in_place])
def test_gradient_penalty(make):
    ours, by_hand = euler(make(), steps=3)
    y = tensor(4, 3, grad=True)
    by_hand(y)
    weights = [w.value for w in ours.layer.trainable_weights]
    found = []
    for function in (ours, by_hand):
        (slope,) = torch.autograd.grad(weighted(function(y)), y, create_graph=True)
        first = torch.autograd.grad(weighted(function(y)), [y, *weights], create_graph=True)
        second = torch.autograd.grad(torch.sum(slope**2), [y, *weights], allow_unused=True)
        found.append([*first, *(x for x in second if x is not None)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("context", [lambda y: y, lambda y: torch.cos(y), lambda y: tensor(4, 3)])
@pytest.mark.parametrize("create_graph", [False, True])
def test_inputs_that_depend_on_each_other(context, create_graph):
    ours, by_hand = euler(shifted)
    y = tensor(4, 3, seed=1, grad=True)
    one, other = (
        torch.autograd.grad(weighted(f(y, context(y))), y, create_graph=create_graph)[0]
        for f in (ours, by_hand)
    )
    close(one, other, 1e-5)


def test_third_derivatives():
    ours, by_hand = euler(torch.sin, steps=3)
    y, found = tensor(4, 3, grad=True), []
    for function in (ours, by_hand):
        value = weighted(function(y))
        for _ in range(3):
            (gradient,) = torch.autograd.grad(value, y, create_graph=True)
            value = weighted(gradient)
        found.append(gradient)
    np.testing.assert_allclose(numpy(found[0]), numpy(found[1]), rtol=1e-4, atol=1e-3)


def test_gradient_penalty_leaves_state_alone():
    ours, _ = euler(batch_normalized())
    y = tensor(4, 3, grad=True)
    value = weighted(ours(y, training=True))
    before = [numpy(v).copy() for v in ours.variables]
    torch.autograd.grad(value, y, create_graph=True)
    np.testing.assert_equal([numpy(v) for v in ours.variables], before)


def forward_mode(function, y):
    from torch.autograd import forward_ad

    with forward_ad.dual_level():
        result = function(forward_ad.make_dual(y, tensor(4, 3, seed=5)))
        return forward_ad.unpack_dual(result).tangent


def batched(function, y):
    y = y.clone().requires_grad_()
    tangents = tensor(5, 4, 3, seed=5)
    return torch.autograd.grad(function(y), y, tangents, is_grads_batched=True)[0]


TRANSFORMS = {
    "grad": lambda f, y: torch.func.grad(lambda y: weighted(f(y)))(y),
    "vmap": lambda f, y: torch.func.vmap(f)(y[:, None]),
    "jvp": lambda f, y: torch.func.jvp(f, (y,), (tensor(4, 3, seed=5),))[1],
    "jacrev": lambda f, y: torch.func.jacrev(f)(y),
    "jacfwd": lambda f, y: torch.func.jacfwd(f)(y),
    "hessian": lambda f, y: torch.func.hessian(lambda y: weighted(f(y)))(y),
    "jacobian": lambda f, y: torch.autograd.functional.jacobian(f, y, vectorize=True),
    "forward mode": forward_mode,
    "batched": batched,
}


@pytest.mark.parametrize("traced_before", [False, True])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name, traced_before):
    ours, by_hand = euler(dense())
    y = tensor(4, 3)
    by_hand(y)
    if traced_before:
        ours(y)
    close(TRANSFORMS[name](ours, y), TRANSFORMS[name](by_hand, y), 1e-5)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoint_around_a_layer(reentrant):
    """Also where the layer is traced inside of it."""
    layer = RKResidual(dense(), "euler", steps=3)
    layer.build((None, 3))
    y = tensor(4, 3, grad=True)
    weighted(checkpoint(layer, y, use_reentrant=reentrant)).backward()
    close(y.grad, torch.autograd.grad(weighted(layer(y)), y)[0])
    assert is_traced(layer)


def test_checkpoint_of_dropout_inside_f():
    """The mask of the backward pass is that of the forward pass: y -> M y, so dy = M."""

    def drop(y):
        return torch.nn.functional.dropout(y, 0.5)

    ours, _ = euler(lambda y: checkpoint(drop, y, use_reentrant=False))
    y = torch.ones(4, 30, requires_grad=True)
    result = ours(y)
    close(torch.autograd.grad(result.sum(), y)[0], result)


def test_unseeded_dropout_differentiates_its_own_mask():
    layer = RKResidual(keras.layers.Dropout(0.5), "euler", steps=3)
    y = torch.ones(4, 30, requires_grad=True)
    result = layer(y, training=True)
    assert is_traced(layer)
    assert len(torch.unique(result)) == 4  # 3 ** (how often an entry was kept)
    close(torch.autograd.grad(result.sum(), y)[0], result)


def test_backward_twice():
    ours, _ = euler(batch_normalized())
    y = tensor(4, 3, grad=True)
    value = weighted(ours(y, training=True))
    first = torch.autograd.grad(value, y, retain_graph=True)[0]
    close(first, torch.autograd.grad(value, y)[0], 0)


# ------------------------------------------------------------------------------ modes and layouts


@pytest.mark.parametrize("order", [["no_grad", "grad"], ["inference_mode", "grad", "no_grad"]])
def test_gradient_modes_one_after_another(order):
    ours, by_hand = euler(batch_normalized())
    y = tensor(4, 3)
    expected = by_hand(y, training=False).detach()
    scopes = {"grad": torch.enable_grad, "no_grad": torch.no_grad}
    for name in order:
        with scopes.get(name, torch.inference_mode)():
            result = ours(y, training=False)
        close(result, expected)
        assert result.requires_grad == (name == "grad")


@pytest.mark.parametrize("grads", [(False, True), (True, False)])
def test_inputs_with_and_without_a_gradient(grads):
    ours, by_hand = euler(shifted)
    for need, other in (grads, grads[::-1]):
        inputs = tensor(4, 3, grad=need), tensor(4, 3, seed=1, grad=other)
        assert_same(ours, by_hand, *inputs)


def test_autocast():
    ours, by_hand = euler(dense())
    y = tensor(4, 3)
    ours(y)
    with torch.autocast("cpu", torch.bfloat16):
        low = by_hand(y)
        close(ours(y), low)
    assert not torch.equal(low, by_hand(y))
    close(ours(y), by_hand(y))


LAYOUTS = {
    "contiguous": lambda: tensor(4, 5, 3),
    "transposed": lambda: tensor(5, 4, 3).transpose(0, 1),
    "every second": lambda: tensor(8, 5, 3)[::2],
    "expanded": lambda: tensor(4, 1, 3).expand(4, 5, 3),
}


@pytest.mark.parametrize("first", LAYOUTS)
@pytest.mark.parametrize("then", LAYOUTS)
def test_layouts_of_the_input(first, then):
    ours, by_hand = euler(dense())
    ours(LAYOUTS[first]())
    assert_same(ours, by_hand, LAYOUTS[then]().detach().requires_grad_())


GRADIENTS = {
    "transposed": lambda y: (y.transpose(1, 2) * tensor(4, 3, 5)).sum(),
    "expanded": lambda y: y.sum(),
    "expanded in part": lambda y: (y.mean(1, keepdim=True) * tensor(4, 1, 3)).sum(),
    "sliced": lambda y: y[:, ::2].sum(),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_layouts_of_the_gradient(name):
    ours, by_hand = euler(dense())
    y = tensor(4, 5, 3, grad=True)
    one, other = (torch.autograd.grad(GRADIENTS[name](f(y)), y)[0] for f in (ours, by_hand))
    close(one, other)


def test_channels_last():
    f = keras.layers.Conv2D(2, 3, padding="same", activation="tanh")
    ours, by_hand = euler(f)
    ours(tensor(2, 4, 5, 2))
    y = tensor(2, 2, 4, 5).permute(0, 2, 3, 1).contiguous(memory_format=torch.channels_last)
    assert_same(ours, by_hand, y.detach().requires_grad_(), tolerance=1e-5)


def test_batches_of_many_sizes():
    ours, by_hand = euler(dense())
    for size in range(torch_traces.MOST_TRACES + 8):
        close(ours(tensor(size, 3)), by_hand(tensor(size, 3)))
    assert len(ours.loop.traces) == torch_traces.MOST_TRACES


def test_one_trace_for_batches_of_one_size():
    ours, _ = euler(batch_normalized(), steps=5)
    for seed in range(4):
        ours(tensor(4, 3, seed=seed, grad=True), training=True).sum().backward()
    assert len(ours.loop.traces) == 1


def test_float64():
    f = NativeDense(dtype="float64")
    ours = RKResidual(f, "euler", steps=2, dtype="float64")
    y = tensor(4, 3).double()
    ours(y.float())
    by_hand = y + f(y)
    np.testing.assert_allclose(numpy(ours(y)), numpy(by_hand + f(by_hand)), rtol=1e-14)


def test_gradcheck():
    f = NativeDense(dtype="float64")
    layer = RKStack(f, 3, "heun2", 0.5, dtype="float64")
    y = tensor(2, 3).double().requires_grad_()
    layer(y)
    assert is_traced(layer)
    assert torch.autograd.gradcheck(layer, y)
    assert torch.autograd.gradgradcheck(layer, y)


# ------------------------------------------------------------------------------ copies and threads


@pytest.mark.parametrize(
    "make",
    [lambda: RKResidual(dense(), "euler", steps=2), lambda: RKStack(dense(), 3, "heun2")],
    ids=["steps", "stack"],
)
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"]
)
def test_a_copy_traces_for_itself(make, duplicate):
    layer, y = make(), tensor(4, 3)
    expected = layer(y).detach()
    other = duplicate(layer)
    close(other(y), expected)
    assert other.loop is not layer.loop
    other.weights[0].assign(ops.zeros_like(other.weights[0].value))
    assert not np.allclose(numpy(other(y)), numpy(expected))
    close(layer(y), expected, 0)


def test_y_on_another_device():
    y = torch.empty(4, 3, device="meta")  # Keras's layers bring it to the device of the weights
    for layer in (dense(), RKResidual(dense(), steps=2), RKStack(dense(), 3)):
        assert layer(y).device.type == "cpu"


def test_threads():
    layer = RKResidual(dense(), "heun2", 0.5, steps=3)
    layer.build((None, 3))
    found = {}

    def work(seed):
        for size in range(1, 12):
            y = tensor(size, 3, seed=seed, grad=True)
            result = layer(y)
            found[seed, size] = result.detach(), torch.autograd.grad(result.sum(), y)[0]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 33
    assert is_traced(layer)
    alone = RKResidual(layer.layer, "heun2", 0.5, steps=3)
    for (seed, size), (result, gradient) in found.items():
        y = tensor(size, 3, seed=seed, grad=True)
        close(result, alone(y))
        close(gradient, torch.autograd.grad(alone(y).sum(), y)[0])


def test_a_training_loop_of_torch():
    stack = RKStack(dense(), 4, "heun2", 0.5, after=keras.layers.BatchNormalization())
    stack.build((None, 3))
    by_hand = keras.Sequential([keras.Input((3,)), *stack.unstack()])
    x, target, histories = tensor(16, 3), tensor(16, 3, seed=1), []
    for model in (stack, by_hand):
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        history = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = torch.mean((model(x, training=True) - target) ** 2)
            loss.backward()
            optimizer.step()
            history.append(float(loss.detach()))
        histories.append(history)
    np.testing.assert_allclose(*histories, rtol=1e-4)
    assert histories[0][-1] < histories[0][0]


# --------------------------------------------------------------------------------------- compiling


@pytest.fixture
def compilations(monkeypatch):
    """How often a block has been compiled."""
    counts = []
    original = torch_traces._compiled

    def counted(*arguments):
        counts.append(1)
        return original(*arguments)

    monkeypatch.setattr(torch_traces, "_compiled", counted)
    return counts


def test_torch_compile_compiles_one_block(compilations):
    after = keras.layers.BatchNormalization(momentum=0.5)
    stack = RKStack(dense(), 6, "euler", 0.5, after=after, return_states=True)
    model = keras.Sequential([keras.Input((3,)), stack])
    start = model.get_weights()
    compiled, y, found = torch.compile(model), tensor(4, 3, grad=True), []
    for run in (compiled, model):
        model.set_weights(start)
        result = run(y, training=True)
        wanted = [y, *(w.value for w in model.trainable_weights)]
        gradients = torch.autograd.grad(weighted(result), wanted)
        found.append([result, *gradients, *(v.value.clone() for v in model.weights)])
    assert len(compilations) == 1
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(numpy(compiled(y)), numpy(model(y)), rtol=1e-5, atol=1e-6)
    compiled(tensor(4, 3, seed=3, grad=True), training=True)
    assert len(compilations) == 2  # with gradients, and without


def test_fit_compiled(compilations):
    model = keras.Sequential([keras.Input((3,)), RKStack(dense(), 8, "euler", 0.1)])
    start, found = model.get_weights(), []
    for jit_compile in (True, False):
        model.set_weights(start)
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
        model.fit(normal(8, 3), normal(8, 3, seed=2), batch_size=4, shuffle=False, verbose=0)
        found.append(model.get_weights())
    assert len(compilations) == 1
    for one, other, before in zip(*found, start, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        assert not np.array_equal(one, before)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RKResidual(dense(), "heun2", steps=3),
        lambda: RKStack(dense(), 3, "heun2", after=keras.layers.BatchNormalization()),
    ],
    ids=["steps", "stack"],
)
def test_an_exporter_sees_plain_operations(make):
    model = keras.Sequential([keras.Input((3,)), make()])
    y = tensor(4, 3)
    expected = model(y)
    program = torch.export.export(model, (y,))
    close(program.module()(y), expected)
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert all(name.startswith("aten.") or "getitem" in name for name in targets)


def test_onnx(tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    model = keras.Sequential([keras.Input((3,), 4), RKResidual(dense(), "heun2", steps=2)])
    y = normal(4, 3)
    expected = numpy(model(y))
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    (result,) = session.run(None, {session.get_inputs()[0].name: y})
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("outer", ["steps", "stack"])
def test_a_stack_inside_a_loop_is_traced(outer):
    inner = RKStack(dense(), 2, "euler", 0.5)
    if outer == "steps":
        layer = RKResidual(inner, "euler", 0.5, steps=2)
    else:
        layer = RKStack(inner, 2, "euler", 0.5)
    layer(tensor(4, 3))
    assert is_traced(layer)
