"""One loop for many blocks or steps: the only folder with code for a particular backend.

A loop here is what `jax.lax.scan` is: `body(carry, x, constants) -> (carry, outputs)` is called
`length` times, with the slices of `xs` along their first axis one after another, and the outputs
are stacked along a new first axis. All of these are nested tuples of tensors.

    JAX         `keras.ops.scan` under `jit`; a Python loop on concrete arrays, where compiling
                would take longer than it saves
    TensorFlow  a `tf.while_loop` whose number of iterations is known, so that XLA, too, can
                differentiate it; a Python loop when executing eagerly
    PyTorch     a Python loop over the body, which is traced once, forwards and backwards, to
                PyTorch's own operations: calling Keras layers takes longer than computing them
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from threading import RLock
from typing import Any

import keras
from keras import ops

from keras_rk.layers.inputs import symbolic

Body = Callable[[Any, Any, Any], tuple[Any, Any]]
flatten, pack = keras.tree.flatten, keras.tree.pack_sequence_as


class Loop:
    """Runs loops, and remembers for each key what PyTorch has traced.

    A key names everything that the body depends on apart from its arguments.

    Args:
        jit_compile: whether PyTorch compiles what it has traced.
    """

    def __init__(self, jit_compile: bool = False) -> None:
        self.jit_compile = jit_compile
        self.traces: dict[Hashable, Any] = {}
        self._compiled = jit_compile

    def __reduce__(self) -> tuple:  # a copy of a layer traces for itself
        return Loop, (self.jit_compile,)

    def run(self, function: Callable[[Any], Any], y: Any) -> Any:
        """`function(y)`, in which loops occur.

        `torch.compile` is kept out of it, since it would unroll them: a loop then compiles its
        body by itself.
        """
        if keras.backend.backend() == "torch" and _is_dynamo_compiling():
            return _outside_dynamo()(self._run_compiled, function, y)
        return function(y)

    def _run_compiled(self, function: Callable[[Any], Any], y: Any) -> Any:
        self._compiled = True
        try:
            return function(y)
        finally:
            self._compiled = self.jit_compile

    def scan(
        self,
        body: Body,
        carry: Any,
        xs: Any,
        constants: Any,
        length: int,
        *,
        outputs: Any,
        key: Hashable,
        traceable: bool = True,
        unroll: bool = False,
        remat: bool = False,
    ) -> tuple[Any, Any]:
        """The last carry, and the outputs of all iterations, stacked.

        Args:
            outputs: tensors with the shapes and dtypes of what the body puts out in one call.
            key: what the body depends on apart from its arguments.
            traceable: whether PyTorch may run the body as Python code just once for each key.
            unroll: whether JAX and TensorFlow write the iterations out. For a few that is faster:
                XLA brings convolutions into their fast form on a CPU only outside of loops.
            remat: whether the backward pass computes each iteration again from its arguments, as in
                `remat`, so that memory grows by one carry for each iteration (on TensorFlow by its
                slices, too). What is unrolled would save little; `unroll` has no effect then.
        """
        arguments = (_rematerialized(body) if remat else body, carry, xs, constants, length)
        backend, unroll = keras.backend.backend(), unroll and not remat
        if backend == "jax" and not unroll and _is_jax_compiling(arguments[1:4]):
            return _scan_jax(body, *arguments[1:], remat)
        if backend == "tensorflow" and not unroll and _is_tensorflow_compiling():
            return _scan_tensorflow(*arguments, outputs)
        if backend == "torch" and traceable:
            return _scan_torch(
                body, *arguments[1:], outputs, remat, self.traces, (key, self._compiled)
            )
        return _scan_in_python(*arguments, outputs)


def remat(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)`, whose intermediate values the backward pass computes again.

    Arguments and results are nested tuples of tensors, integers among them. The function is pure:
    it reads no variable and nothing else that gradients flow to, and two calls compute the same.
    So a seed is an argument, and the function gets a copy of what it would advance in place. Only
    on PyTorch may it draw from the generator of the backend, which then draws the same again; a
    loop around it is a Python loop in that case, since a trace cannot turn a generator back.

    The first argument is what is computed on. A graph of TensorFlow may keep what is computed from
    the others alone; and without a loop around it, XLA keeps much on a CPU, on JAX everything.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return _remat_jax(function, arguments)
    if backend == "tensorflow":
        return _remat_tensorflow(function, arguments)
    if backend == "torch":
        return _remat_torch(function, arguments)
    return function(*arguments)


def _rematerialized(body: Body) -> Body:
    return lambda carry, x, constants: remat(body, carry, x, constants)


def _scan_in_python(
    body: Body, carry: Any, xs: Any, constants: Any, length: int, outputs: Any
) -> tuple[Any, Any]:
    columns = [ops.unstack(x, length) for x in flatten(xs)]
    collected = []
    for x in zip(*columns, strict=True) if columns else itertools.repeat((), length):
        carry, results = body(carry, pack(xs, x), constants)
        collected.append(flatten(results))
    return carry, pack(outputs, [ops.stack(column) for column in zip(*collected, strict=True)])


def look(function: Callable[[Any], Any], values: Any) -> None:
    """Calls a function of tensors in order to see what it does in passing, without effect.

    The tensors are abstract where a graph is being made.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        _look_with_torch(function, values)
    elif backend == "jax" and _is_jax_compiling(values):
        _look_with_jax(function, values)
    elif backend == "tensorflow" and _is_tensorflow_compiling():
        _Symbolic(function).compute_output_spec(keras.tree.map_structure(symbolic, values))
    else:
        function(values)


class _Symbolic(keras.Operation):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def call(self, values: Any) -> Any:
        return self.function(values)


def value(variable: keras.Variable, written: bool = False) -> Any:
    """The present value of a variable, as a tensor that assigning to it leaves alone.

    PyTorch assigns in place, and what was assigned to cannot be differentiated any more. Trainable
    variables are assigned to by the optimizer alone, unless f writes them.
    """
    tensor = ops.convert_to_tensor(variable.value)
    backend = keras.backend.backend()
    if backend == "torch" and (written or not variable.trainable):
        return ops.copy(tensor)
    if backend == "tensorflow":  # Keras passes a variable on, which a loop would read each time
        import tensorflow as tf

        return tf.convert_to_tensor(tensor)
    return tensor


def assigns_in_place() -> bool:
    """Whether assigning to a variable spoils the gradient of what was computed from it."""
    return keras.backend.backend() == "torch" and not _is_dynamo_compiling()


def outside_graph() -> AbstractContextManager:
    """Where variables have values at once, also while a graph is being made."""
    if keras.backend.backend() != "tensorflow":
        return nullcontext()
    import tensorflow as tf

    return tf.init_scope()


def check_stackable(layer: keras.layers.Layer, inner: Sequence[keras.layers.Layer]) -> None:
    """Refuses a layer, made of `inner` ones, whose weights Keras cannot replace by others."""
    native = keras.layers.TorchModuleWrapper
    modules = layer.modules() if hasattr(layer, "modules") else ()
    if any(isinstance(module, native) for module in (*inner, *modules)):
        raise ValueError(
            "RKStack cannot put weights into a `torch.nn.Module`, which reads its own: use Keras "
            "layers, or single RKResidual layers. "
            f"Received: layer {layer.name!r} of type {type(layer).__name__}."
        )


def is_one(factor: Any) -> bool:
    """Whether a factor is the number one; tensors are not looked into."""
    return isinstance(factor, float) and factor == 1.0


def add_multiple(x: Any, k: Any, factor: Any) -> Any:
    """x + factor * k, in as few operations as the backend has."""
    if is_one(factor):
        return x + k
    if keras.backend.backend() == "torch" and isinstance(factor, float):
        import torch

        if isinstance(x, torch.Tensor):
            return torch.add(x, k, alpha=factor)
    return x + k * factor


# ----------------------------------------------------------------------------------------- JAX


def _is_jax_compiling(arguments: Any) -> bool:
    """Whether any value is abstract: under `jit`, but not under `jax.grad` alone."""
    import jax

    def is_abstract(x: Any) -> bool:
        while hasattr(x, "primal"):
            x = x.primal
        return isinstance(x, jax.core.Tracer)

    return any(is_abstract(x) for x in flatten(arguments))


def _scan_jax(
    body: Body, carry: Any, xs: Any, constants: Any, length: int, again: bool
) -> tuple[Any, Any]:
    if again:
        import jax

        # The loops of both passes keep apart what would be merged without them.
        body = jax.checkpoint(body, prevent_cse=False)
    return ops.scan(lambda c, x: body(c, x, constants), carry, xs, length)


def _remat_jax(function: Callable[..., Any], arguments: tuple) -> Any:
    import jax

    return jax.checkpoint(function)(*arguments)


def _look_with_jax(function: Callable[[Any], Any], values: Any) -> None:
    import jax

    jax.eval_shape(function, values)


# ---------------------------------------------------------------------------------- TensorFlow


def _is_tensorflow_compiling() -> bool:
    import tensorflow as tf

    return not tf.executing_eagerly()


def _scan_tensorflow(
    body: Body, carry: Any, xs: Any, constants: Any, length: int, outputs: Any
) -> tuple[Any, Any]:
    import tensorflow as tf

    def array(dtype: Any, shape: Any) -> tf.TensorArray:
        return tf.TensorArray(dtype, size=length, element_shape=shape)

    columns = [array(x.dtype, x.shape[1:]).unstack(x) for x in flatten(xs)]
    stacks = [array(x.dtype, x.shape) for x in flatten(outputs)]

    def step(i: Any, old: list, stacks: list) -> tuple:
        x = pack(xs, [column.read(i) for column in columns])
        new, results = body(pack(carry, old), x, constants)
        new = flatten(new)
        for value, before in zip(new, old, strict=True):
            value.set_shape(before.shape)
        results = flatten(results)
        return i + 1, new, [s.write(i, r) for s, r in zip(stacks, results, strict=True)]

    _, values, stacks = tf.while_loop(
        lambda i, *_: i < length, step, (0, flatten(carry), stacks), maximum_iterations=length
    )
    return pack(carry, values), pack(outputs, [stack.stack() for stack in stacks])


def _remat_tensorflow(function: Callable[..., Any], arguments: tuple) -> Any:
    """Like `tf.recompute_grad`, with integers among the results, and differentiable twice."""
    import tensorflow as tf

    structure: Any = None

    def is_differentiable(x: Any) -> bool:
        return x is not None and (x.dtype.is_floating or x.dtype.is_complex)

    @tf.custom_gradient
    def run(*inputs: Any) -> tuple:
        nonlocal structure
        # What no tape follows, none keeps.
        results = function(*pack(arguments, [tf.stop_gradient(x) for x in inputs]))
        structure = results

        def gradient(*received: Any) -> list:
            active = [n for n, x in enumerate(inputs) if is_differentiable(x)]
            known = [n for n, dx in enumerate(received) if is_differentiable(dx)]
            again = _after(received[known[0]], inputs, len(flatten(arguments[0])))
            with tf.GradientTape() as tape:
                tape.watch([again[n] for n in active])
                outputs = flatten(function(*pack(arguments, again)))
            found = tape.gradient(
                [outputs[n] for n in known],
                [again[n] for n in active],
                [received[n] for n in known],
            )
            gradients = dict(zip(active, found, strict=True))
            return [gradients.get(n) for n in range(len(inputs))]

        return flatten(results), gradient

    results = run(*flatten(arguments))
    return pack(structure, results)


def _after(tensor: Any, inputs: Sequence[Any], most: int) -> list:
    """`inputs`, of which the first `most` and the seeds are not to be had before `tensor` is there.

    Otherwise a graph would compute again at once, or not at all and keep what it has. XLA
    disregards control dependencies, so this is one of data: a zero that no compiler recognises.
    Weights are left alone, to save copies: what is computed from nothing else is small.
    """
    import tensorflow as tf

    if tf.executing_eagerly():
        return [tf.identity(x) for x in inputs]
    entry = tf.cast(tf.reduce_max(tf.reshape(tensor, (-1,))[:1]), "bool")
    zero = tf.where(tf.equal(entry, entry), 0.0, float("nan"))

    def is_late(place: int, x: Any) -> bool:
        return (place < most or x.dtype.is_integer) and x.dtype != tf.bool

    return [
        x + tf.cast(zero, x.dtype) if is_late(place, x) else tf.identity(x)
        for place, x in enumerate(inputs)
    ]


# ------------------------------------------------------------------------------------- PyTorch

_TRACING = RLock()
MOST_TRACES = 32  # for each layer; one for each shape of a batch


@dataclass(frozen=True)
class _Traced:
    """One iteration as graphs of PyTorch's own operations, without Python in between.

    Inputs are the carry, a slice of each of `xs`, and the constants; outputs are the carry and what
    is stacked.

    Attributes:
        forward: inputs -> outputs, and the values that `backward` needs.
        backward: those values, a gradient for each of `differentiable`, and a sum for each of
            `summed`, which its gradient is added to -> a gradient for each of `with_gradient`.
        functional: the same without the sums: a gradient for each of `with_gradient`.
        length: how many outputs there are.
        differentiable, with_gradient: positions of outputs and of inputs.
        summed: the positions of the constants that a gradient reaches.
        is_random: whether a second run would not compute the same.
    """

    forward: Callable[..., Sequence[Any]]
    backward: Callable[..., Sequence[Any]]
    functional: Callable[..., Sequence[Any]]
    length: int
    differentiable: tuple[int, ...]
    with_gradient: tuple[int, ...]
    summed: tuple[int, ...]
    is_random: bool


@dataclass(frozen=True)
class _TracedScan:
    """All iterations.

    Attributes:
        traced: one iteration.
        direct: the same scan in Python, from flat inputs to flat outputs.
        length: how many iterations there are.
        carried, sliced: how many of the inputs are carried, and how many are sliced.
        remat: whether the backward pass computes again what it needs.
    """

    traced: _Traced
    direct: Callable[..., list]
    length: int
    carried: int
    sliced: int
    remat: bool

    def _rows(self, inputs: Sequence[Any]) -> tuple[list, list[tuple], list]:
        """What the first iteration carries, what each slices, and the constants."""
        a, b = self.carried, self.carried + self.sliced
        given = [x.contiguous() for x in inputs]
        columns = [x.unbind(0) for x in given[a:b]]
        rows = list(zip(*columns, strict=True)) if columns else [()] * self.length
        return given[:a], rows, given[b:]

    def forward(self, inputs: Sequence[Any]) -> tuple[list, list]:
        """The outputs, and what the backward pass needs of each iteration beside the inputs."""
        import torch

        a, end = self.carried, self.traced.length
        values, rows, constants = self._rows(inputs)
        collected: list = []
        saved: list = []
        for x in rows:
            if self.remat:
                saved += [*values, *self._generators(inputs)]
            results = self.traced.forward(*values, *x, *constants)
            values = [value.contiguous() for value in results[:a]]
            collected.append(results[a:end])
            if not self.remat:
                saved.extend(results[end:])
            del results
        stacked = [torch.stack(column) for column in zip(*collected, strict=True)]
        return [*values, *stacked], saved

    def _generators(self, inputs: Sequence[Any]) -> list:
        """The states of the generators that an iteration draws from."""
        import torch

        if not self.traced.is_random:
            return []
        states = [torch.random.get_rng_state()]
        device = inputs[0].device
        if device.type != "cpu":
            states.append(torch.get_device_module(device).get_rng_state(device))
        return states

    def _needed(self, inputs: Sequence[Any], saved: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """What the backward pass of each iteration needs, the last iteration first."""
        size = len(saved) // self.length
        parts = [saved[i * size : (i + 1) * size] for i in range(self.length)]
        if not self.remat:
            yield from reversed(parts)
            return
        _, rows, constants = self._rows(inputs)
        for part, x in zip(reversed(parts), reversed(rows), strict=True):
            values, states = part[: self.carried], part[self.carried :]
            with _drawing_again(states, inputs[0].device):
                needed = self.traced.forward(*values, *x, *constants)[self.traced.length :]
            yield needed
            del needed  # or else those of two iterations are there at a time

    def backward(
        self, inputs: Sequence[Any], saved: Sequence[Any], tangents: Sequence[Any]
    ) -> dict[int, Any]:
        """The gradients, by the positions of the inputs."""
        import torch

        a, b = self.carried, self.carried + self.sliced
        traced = self.traced
        carried = dict(zip(range(a), tangents[:a], strict=True))
        stacked = {a + n: column.unbind(0) for n, column in enumerate(tangents[a:])}
        slices: dict[int, list] = {place: [] for place in traced.with_gradient if a <= place < b}
        gradients: dict[int, Any] = {p: torch.zeros_like(inputs[p]) for p in traced.summed}
        batched = any(map(torch._C._functorch.is_legacy_batchedtensor, tangents))
        for n, needed in enumerate(self._needed(inputs, saved), start=1):
            received = [
                (carried[place] if place < a else stacked[place][-n]).contiguous()
                for place in traced.differentiable
            ]
            if batched:  # those of many outputs at once cannot be added in place
                found = traced.functional(*needed, *received)
            else:
                found = traced.backward(*needed, *received, *gradients.values())
            del needed
            for place, gradient in zip(traced.with_gradient, found, strict=True):
                if place < a:
                    carried[place] = (
                        torch.zeros_like(tangents[place]) if gradient is None else gradient
                    )
                elif place < b:
                    slices[place].append(gradient)
                elif batched and place in gradients:
                    gradients[place] = gradients[place] + gradient
        for place in traced.with_gradient:
            if place < a:
                gradients[place] = carried[place]
            elif place < b and slices[place][0] is not None:
                gradients[place] = torch.stack(slices[place][::-1])
        return gradients


@contextmanager
def _drawing_again(states: Sequence[Any], device: Any) -> Iterator[None]:
    """Inside, the generators are in these states."""
    if not states:
        yield
        return
    import torch

    with torch.random.fork_rng([device] if len(states) > 1 else [], device_type=device.type):
        torch.random.set_rng_state(states[0])
        for state in states[1:]:
            torch.get_device_module(device).set_rng_state(state, device)
        yield


def _remat_torch(function: Callable[..., Any], arguments: tuple) -> Any:
    import torch
    from torch.utils.checkpoint import checkpoint

    inputs = flatten(arguments)
    if (
        not torch.is_grad_enabled()
        or any(x.is_meta for x in inputs)
        or torch.jit.is_tracing()
        or torch.compiler.is_exporting()
        or torch._C._are_functorch_transforms_active()  # they keep what they need by themselves
    ):
        return function(*arguments)
    # `_trace` refuses what draws random numbers again.
    is_fake = any(isinstance(x, torch._subclasses.FakeTensor) for x in inputs)
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=not is_fake)


def _is_dynamo_compiling() -> bool:
    import torch

    return torch.compiler.is_dynamo_compiling() and not torch.compiler.is_exporting()


@lru_cache(maxsize=1)
def _outside_dynamo() -> Callable:
    import torch

    return torch.compiler.disable(lambda function, *arguments: function(*arguments))


def _look_with_torch(function: Callable[[Any], Any], values: Any) -> None:
    import torch

    state = torch.random.get_rng_state()
    with torch.no_grad():
        function(values)
    torch.random.set_rng_state(state)


def _scan_torch(
    body: Body,
    carry: Any,
    xs: Any,
    constants: Any,
    length: int,
    outputs: Any,
    again: bool,
    traces: dict,
    key: tuple,
) -> tuple[Any, Any]:
    a, b = len(flatten(carry)), len(flatten(carry)) + len(flatten(xs))
    inputs = flatten((carry, xs, constants))

    def step(*values: Any) -> list:
        x = pack(xs, values[a:b]), pack(constants, values[b:])
        return flatten(body(pack(carry, values[:a]), *x))

    def direct(*values: Any) -> list:
        start, columns, fixed = pack((carry, xs, constants), values)
        function = _rematerialized(body) if again else body
        return flatten(_scan_in_python(function, start, columns, fixed, length, outputs))

    first = [x[0] if a <= place < b else x for place, x in enumerate(inputs)]
    if any(x.is_meta for x in inputs):  # Keras asks for shapes: those of one iteration
        results = step(*first)
        stacks = [x.new_empty((length, *x.shape)) for x in results[a:]]
        return pack(carry, results[:a]), pack(outputs, stacks)
    traced = _lookup(traces, key, step, first, a, b)
    ran: Sequence[Any]
    if traced is None:
        ran = direct(*inputs)
    else:
        ran = _run(_TracedScan(traced, direct, length, a, b - a, again), inputs)
    return pack(carry, ran[:a]), pack(outputs, ran[a:])


def _lookup(
    traces: dict, key: tuple, step: Callable, inputs: list, carried: int, changing: int
) -> _Traced | None:
    """The trace for inputs like these, newly made where there is none; None if impossible.

    Args:
        carried, changing: how many of the inputs are carried, and how many are no constants.
    """
    import torch
    from torch.fx.experimental.proxy_tensor import get_proxy_mode

    if not all(type(x) in (torch.Tensor, torch.nn.Parameter) for x in inputs):
        return None  # symbolic tensors of one kind or another
    if torch.is_autocast_enabled(inputs[0].device.type):
        return None
    if get_proxy_mode() is not None or torch.jit.is_tracing() or torch.compiler.is_compiling():
        return None  # somebody else is tracing
    if torch._C._are_functorch_transforms_active() or torch.autograd.forward_ad._current_level >= 0:
        return None  # other derivatives than those of `backward`
    gradients = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
    # What is carried may start as a constant and needs a gradient from the second block on.
    needs = [
        gradients and x.is_floating_point() and (x.requires_grad or place < carried)
        for place, x in enumerate(inputs)
    ]
    kinds = tuple((x.shape, x.dtype, x.device, need) for x, need in zip(inputs, needs, strict=True))
    key = (*key, torch.is_grad_enabled(), kinds)
    with _TRACING:  # PyTorch traces in one thread at a time
        if key not in traces:
            if len(traces) >= MOST_TRACES:
                traces.pop(next(iter(traces)))
            traces[key] = _trace(step, inputs, needs, changing, compiled=key[1])
        return traces[key]


def _trace(
    step: Callable, inputs: list, needs: list[bool], changing: int, compiled: bool
) -> _Traced | None:
    """`step` as graphs, or None where they would not compute what its Python code does.

    It is traced together with its gradients as autograd computes them, so that a gradient of
    its own (`keras.ops.custom_gradient`) or one that is stopped is in the graph as such. It is
    traced on tensors without values, which refuse to leave PyTorch: seeds that Keras turns into
    Python numbers, choices by values, and tensors that f takes from elsewhere are not traceable.
    """
    import torch
    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx

    from keras_rk.layers.loops import torch_graphs

    mode = FakeTensorMode()
    try:
        with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x), mode:
            examples = [torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in inputs]
            with torch.set_grad_enabled(any(needs)):
                outputs = step(*_leaves(examples, needs))
            differentiable = tuple(n for n, out in enumerate(outputs) if out.requires_grad)
            tangents = [torch.empty_like(outputs[n]).contiguous() for n in differentiable]
            graph = make_fx(_joint(step, needs, differentiable))(*examples, *tangents)
    except Exception:
        return None
    if any(isinstance(x, torch._subclasses.FakeTensor) for x in vars(graph).values()):
        return None
    forward, backward = _split(graph, len(inputs), len(outputs))
    if torch_graphs.is_random(backward):  # it would draw again what the forward pass has drawn
        return None
    is_random = torch_graphs.is_random(forward)
    with_gradient = tuple(place for place, need in enumerate(needs) if need)
    returned = next(iter(reversed(backward.graph.nodes))).args[0]
    reached = [
        n for n, place in enumerate(with_gradient) if place >= changing and returned[n] is not None
    ]
    _, functional = _split(graph, len(inputs), len(outputs))
    if compiled:
        forward, backward = _compiled(forward, backward, inputs, len(outputs), differentiable)
    if compiled or torch_graphs.writes(graph):
        backward = torch_graphs.adding(backward, reached)
    else:
        torch_graphs.simplify(forward, len(outputs))
        torch_graphs.simplify(backward)
        torch_graphs.accumulate(backward, reached)
        torch_graphs.fuse(forward)
        torch_graphs.fuse(backward)
    return _Traced(
        forward,
        backward,
        functional,
        len(outputs),
        differentiable,
        with_gradient,
        tuple(with_gradient[n] for n in reached),
        is_random,
    )


def _leaves(values: Sequence[Any], needs: Sequence[bool]) -> list:
    return [
        x.detach().requires_grad_() if need else x for x, need in zip(values, needs, strict=True)
    ]


def _joint(step: Callable, needs: list[bool], differentiable: tuple[int, ...]) -> Callable:
    """`step` and its vector-Jacobian product as one function of inputs and gradients.

    The last result marks where the one ends and the other begins.
    """
    import torch

    def joint(*arguments: Any) -> tuple:
        inputs, tangents = arguments[: len(needs)], arguments[len(needs) :]
        with torch.set_grad_enabled(any(needs)):
            leaves = _leaves(inputs, needs)
            outputs = step(*leaves)
            marker = outputs[0].clone()
            gradients: Sequence = ()
            if differentiable:
                gradients = torch.autograd.grad(
                    [outputs[place] for place in differentiable],
                    [x for x, need in zip(leaves, needs, strict=True) if need],
                    tangents,
                    allow_unused=True,
                )
        return (*outputs, *gradients, marker)

    return joint


def _split(graph: Any, inputs: int, outputs: int) -> tuple[Any, Any]:
    """The graph of a joint function, cut in two: what comes before the marker, and after."""
    import torch

    nodes = list(graph.graph.nodes)
    *results, marker = nodes[-1].args[0]
    cut = nodes.index(marker)
    same = {  # without autograd, `detach` does nothing
        node: node.args[0] for node in nodes if node.target is torch.ops.aten.detach.default
    }

    def origin(node: Any) -> Any:
        while node in same:
            node = same[node]
        return node

    results = [None if node is None else origin(node) for node in results]
    placeholders = [node for node in nodes if node.op == "placeholder"]
    before = [node for node in nodes[:cut] if node not in same]
    after = [node for node in nodes[cut + 1 : -1] if node not in same]
    needed = [origin(x) for node in after for x in node.all_input_nodes]
    needed += [node for node in results[outputs:] if node is not None]
    known = set(before) - set(placeholders[inputs:])
    saved = list(dict.fromkeys(node for node in needed if node in known))

    def part(body: list, arguments: list, returned: list) -> Any:
        new = torch.fx.Graph()
        copies = {node: new.placeholder(node.name) for node in arguments}
        for node, copy in copies.items():
            copy.meta = dict(node.meta)
        for node in body:
            if node.op != "placeholder":
                copies[node] = new.node_copy(node, lambda x: copies[origin(x)])
        new.output(tuple(None if node is None else copies[node] for node in returned))
        new.eliminate_dead_code()
        return torch.fx.GraphModule(graph, new)

    forward = part(before, placeholders[:inputs], results[:outputs] + saved)
    backward = part(after, saved + placeholders[inputs:], results[outputs:])
    return forward, backward


def _compiled(
    forward: Any, backward: Any, inputs: list, outputs: int, differentiable: tuple[int, ...]
) -> tuple[Callable, Callable]:
    """The graphs as machine code for inputs of these shapes, contiguous in memory."""
    import torch
    import torch._inductor

    def machine_code(graph: Any, inputs: list) -> Callable:
        run = torch._inductor.compile(graph, [x.detach().contiguous() for x in inputs])
        return lambda *inputs: run(*[x.contiguous() for x in inputs])

    with torch.no_grad():
        forward = machine_code(forward, inputs)
        results = forward(*inputs)
        if differentiable:
            tangents = [results[place] for place in differentiable]
            backward = machine_code(backward, [*results[outputs:], *tangents])
    return forward, backward


def _run(scan: _TracedScan, inputs: Sequence[Any]) -> Sequence[Any]:
    import torch

    if not scan.traced.differentiable:
        with torch.no_grad():
            return scan.forward(inputs)[0]
    return _autograd_scan().apply(scan, *inputs)


@lru_cache(maxsize=1)
def _autograd_scan() -> Any:
    import torch

    class Scan(torch.autograd.Function):
        """A traced loop as one node of autograd's graph."""

        @staticmethod
        def forward(ctx: Any, scan: _TracedScan, *inputs: Any) -> tuple:
            outputs, saved = scan.forward(inputs)
            ctx.scan, ctx.inputs = scan, len(inputs)
            ctx.save_for_backward(*inputs, *saved)
            differentiable = scan.traced.differentiable
            constant = [x for place, x in enumerate(outputs) if place not in differentiable]
            ctx.mark_non_differentiable(*constant)
            return tuple(outputs)

        @staticmethod
        def backward(ctx: Any, *tangents: Any) -> tuple:
            scan, saved = ctx.scan, ctx.saved_tensors
            if torch.is_grad_enabled():  # derivatives of the gradient are asked for
                gradients = _differentiable_gradients(scan, saved[: ctx.inputs], tangents)
            else:
                gradients = scan.backward(saved[: ctx.inputs], saved[ctx.inputs :], tangents)
            return (None, *(gradients.get(place) for place in range(ctx.inputs)))

    return Scan


def _differentiable_gradients(
    scan: _TracedScan, inputs: Sequence[Any], tangents: Sequence[Any]
) -> dict[int, Any]:
    """The gradients once more, computed such that they can be differentiated."""
    import torch

    if scan.traced.is_random:
        raise RuntimeError(
            "Gradients of gradients cannot pass a loop over blocks or steps whose layer draws "
            "random numbers: use `stack.unstack()`, or `steps=1` several times."
        )
    # One input may depend on another by what comes before the loop: aliases do not.
    inputs = [x.view_as(x) if x.requires_grad else x for x in inputs]
    outputs = scan.direct(*inputs)
    active = [n for n in scan.traced.with_gradient if inputs[n].requires_grad]
    found = torch.autograd.grad(
        [outputs[place] for place in scan.traced.differentiable],
        [inputs[place] for place in active],
        [tangents[place] for place in scan.traced.differentiable],
        create_graph=True,
        allow_unused=True,
    )
    return dict(zip(active, found, strict=True))
