"""One loop for many blocks or steps: the only folder with code for a particular backend.

A loop here is what `jax.lax.scan` is: `body(carry, x, constants) -> (carry, outputs)` is called
`length` times, with the slices of `xs` along their first axis one after another, and the outputs
are stacked along a new first axis. All of these are nested tuples of tensors.

Imports nothing of keras_rk; Keras, and the backend in use.

    JAX         `keras.ops.scan` under `jit`; a Python loop on concrete arrays, where compiling
                would take longer than it saves
    TensorFlow  a `tf.while_loop` whose number of iterations is known, so that XLA, too, can
                differentiate it; a Python loop when executing eagerly
                (both: convolutions in forms that XLA computes fast in a loop on a CPU)
    PyTorch     a Python loop over the body, which is traced once, forwards and backwards, to
                PyTorch's own operations: calling Keras layers takes longer than computing them
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from importlib import import_module
from typing import Any

import keras
from keras import ops

from keras_rk.loops.common import Body, March, Marching, rematerialised, scan_in_python, symbolic
from keras_rk.loops.common import march_in_python as march_in_python
from keras_rk.loops.common import rows as rows


@lru_cache(maxsize=1)
def _native() -> Any:
    """What is written for the backend in use, in a module of its own."""
    return import_module(f"{__name__}.{keras.backend.backend()}_loops")


@lru_cache(maxsize=1)
def _native_marches() -> Any:
    return import_module(f"{__name__}.{keras.backend.backend()}_marches")


def _is(*backends: str) -> bool:
    return keras.backend.backend() in backends


def load() -> None:
    """Imports what is written for the backend: later `torch.compile` might be looking on."""
    if _is("jax", "tensorflow", "torch"):
        _native(), _native_marches()


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
        if _is("torch") and _native().is_dynamo_compiling():
            return _native().outside_dynamo(self._run_compiled, function, y)
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
            unroll: whether JAX and TensorFlow write the iterations out: a loop of a few small ones
                takes longer to begin than it runs.
            remat: whether the backward pass computes each iteration again from its arguments, as in
                `remat`, so that memory grows by one carry for each iteration (on TensorFlow by its
                slices, too). What is unrolled would save little; `unroll` has no effect then.
        """
        arguments = body, carry, xs, constants, length, outputs, remat
        if _is("torch") and traceable:
            return _native().scan(*arguments, self.traces, (key, self._compiled))
        in_graph = is_making_graph((carry, xs, constants))
        if in_graph and (remat or not unroll):
            return _native().scan(*arguments)
        again = rematerialised(body, _remat) if remat else body
        return scan_in_python(again, carry, xs, constants, length, outputs)

    def march(
        self, marching: Marching, state: Any, constants: Any, *, key: Hashable, traceable: bool
    ) -> March:
        """Tries from a state until no more are wanted, at most `marching.most`.

        Like `while`, but with a gradient: that of the steps, which are the tries that are kept,
        each computed again from the state before it, so that memory grows by one state a step.
        Neither pass takes longer than the tries that there are, however many there might be.

            begin(state, constants) -> control
            attempt(state, control, constants) -> (state, control, record, kept, more)
            advance(state, record, constants) -> state

        An attempt that is kept leads where `advance` leads with its record, one that is not kept
        leaves the state alone; `kept` and `more` are truth values. All of them are pure functions
        of nested tuples of tensors. `control` and `record` count as constants for the gradient,
        which cannot be differentiated again.

        Args:
            key: what these functions depend on apart from their arguments.
            traceable: whether PyTorch, and JAX outside of `jit`, may run them as Python code just
                once for each key.
        """
        if _is("jax", "torch"):
            trace = (key, self._compiled) if traceable else None
            return _native_marches().march(marching, state, constants, self.traces, trace)
        if _is("tensorflow"):
            return _native_marches().march(marching, state, constants)
        return march_in_python(marching, state, constants)[0]


def repeat(body: Callable[[Any, Any], Any], carry: Any, count: Any) -> Any:
    """`carry = body(i, carry)` for i = 0, ..., count - 1, without gradients.

    The count may be a tensor that has its value only when the program runs, so that one program
    does for all counts.
    """
    if is_making_graph((carry, count)):
        return _native().repeat(body, carry, count)
    for i in range(int(ops.convert_to_numpy(count))):
        carry = body(i, carry)
    return carry


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
    return _remat(function, arguments)


def _remat(function: Callable[..., Any], arguments: tuple) -> Any:
    if not _is("jax", "tensorflow", "torch"):
        return function(*arguments)
    return _native().remat(function, arguments)


def transposed(function: Callable[[Any], Any], y: Any, k: Any) -> Any:
    """J^T k with the Jacobian J of a function at y: the gradient of k^T function(y)."""
    return _native().transposed(function, y, k)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same pure function of tensors, traced once where the backend has such a thing."""
    return _native().compiled(function) if _is("jax", "tensorflow") else function


def prefers_graphs() -> bool:
    """Whether calling operations one by one takes several times longer than a graph of them."""
    return _is("tensorflow")


def in_python(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)`, which `torch.compile` is kept out of."""
    if _is("torch") and _native().is_dynamo_compiling():
        return _native().outside_dynamo(function, *arguments)
    return function(*arguments)


def is_making_graph(values: Any) -> bool:
    """Whether JAX or TensorFlow compiles what is computed from these values."""
    return _is("jax", "tensorflow") and _native().is_compiling(values)


def known(value: Any) -> Any:
    """The numbers in a tensor as an array, where they are there and nobody has to wait for them.

    None for those of a graph that is being made or differentiated, and for those of an accelerator.
    """
    if not _is("jax", "tensorflow", "torch") or not _native().is_at_hand(value):
        return None
    return ops.convert_to_numpy(value)


def look(function: Callable[[Any], Any], values: Any) -> None:
    """Calls a function of tensors in order to see what it does in passing, without effect.

    The tensors are abstract where a graph is being made.
    """
    in_graph = is_making_graph(values)
    if _is("tensorflow") and in_graph:
        look_at_symbols(function, values)
    elif _is("torch") or in_graph:
        _native().look(function, values)
    else:
        function(values)


def has_buffers(layer: keras.layers.Layer) -> bool:
    """Whether a layer has state that is no variable: that of modules of PyTorch inside it."""
    return _is("torch") and bool(_native().buffers(layer))


def unchanged(layer: keras.layers.Layer) -> AbstractContextManager:
    """Where running a layer leaves such state as it was."""
    return _native().unchanged(layer) if _is("torch") else nullcontext()


def look_at_symbols(function: Callable[[Any], Any], values: Any) -> None:
    """The same with nothing but the shapes of tensors."""
    operation = _Symbolic(function)
    try:
        operation.compute_output_spec(keras.tree.map_structure(symbolic, values))
    except Exception as error:  # Keras's own, about an operation that nobody has written
        raise operation.error or error from None


class _Symbolic(keras.Operation):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function
        self.error: Exception | None = None

    def call(self, values: Any) -> Any:
        try:
            return self.function(values)
        except Exception as error:
            self.error = error
            raise


def is_left_behind(value: Any) -> bool:
    """Whether a value exists only in another graph: inside of a branch, or of a loop's body.

    That is how it is on TensorFlow. JAX gives no sign of it before the whole program runs, and then
    names the line; there, Keras cannot assign to variables in such places, either.
    """
    return _is("tensorflow") and _native().is_left_behind(value)


def value(variable: keras.Variable, written: bool = False) -> Any:
    """The present value of a variable, as a tensor that assigning to it leaves alone.

    PyTorch assigns in place, and what was assigned to cannot be differentiated any more. Trainable
    variables are assigned to by the optimizer alone, unless f writes them.
    """
    tensor = ops.convert_to_tensor(variable.value)
    if _is("torch") and (written or not variable.trainable):
        return ops.copy(tensor)
    # Keras on TensorFlow passes a variable on, which a loop would read each time.
    return _native().read(tensor) if _is("tensorflow") else tensor


def assigns_in_place() -> bool:
    """Whether assigning to a variable spoils the gradient of what was computed from it."""
    return _is("torch") and not _native().is_dynamo_compiling()


def outside_graph() -> AbstractContextManager:
    """Where variables have values at once, also while a graph is being made."""
    return _native().outside_graph() if _is("tensorflow") else nullcontext()


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


class Generator:
    """PyTorch's generator, turned back so that all stages of a step draw the same from it.

    Keras draws from it for dropout without a seed. Everything else that is random in Keras follows
    the state of a seed, which is a variable.
    """

    def __init__(self) -> None:
        self._first: Any = None
        self._second: Any = None

    def before(self, place: int, y: Any) -> None:
        """To be called before the stage at that place is evaluated at y."""
        if place == 0:
            self._first = _generator_states(y)
        elif self._first is not None:
            if place == 1:
                self._second, self._device = _generator_states(y), y.device
            _native().set_generators(self._first, y.device)

    def finish(self) -> None:
        """To be called after the last stage: the next step draws what is new."""
        if self._second is not None:
            _native().set_generators(self._second, self._device)


def _generator_states(y: Any) -> list | None:
    """Those that f at y draws from; None where y is symbolic or the backend is another."""
    return _native().generator_states(y) if _is("torch") else None


def is_one(factor: Any) -> bool:
    """Whether a factor is the number one; tensors are not looked into."""
    return isinstance(factor, float) and factor == 1.0


def add_multiple(x: Any, k: Any, factor: Any) -> Any:
    """x + factor * k, in as few operations as the backend has."""
    if is_one(factor):
        return x + k
    if _is("torch") and isinstance(factor, float):
        return _native().add_multiple(x, k, factor)
    return x + k * factor
