"""The contestants of `vector_field.py` in JAX: `jax.jit(jax.value_and_grad(loss))`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from vector_field_cases import Field, Problem
from vector_field_entries import BARE, BY_HAND, KERAS_FIELD, OURS, Entries, Entry

GROUPS = {"": 1.05}  # at most so many times as long as written by hand
OTHERS = {"diffrax": 1.6, "diffrax, tuned": 1.6}  # at least so many times as long as ours
METHODS = ("heun2", "rk4", "tsitouras54")
PACKAGES = ("jax", "jaxlib", "diffrax", "equinox")

DIFFRAX = {  # it has neither rk4 nor rk38
    "heun2": "Heun",
    "midpoint": "Midpoint",
    "ralston2": "Ralston",
    "bogacki_shampine32": "Bosh3",
    "tsitouras54": "Tsit5",
    "dormand_prince54": "Dopri5",
}

Solve = Callable[[Any, Any], Any]


def device() -> str:
    return jax.devices()[0].device_kind


def on_gpu() -> bool:
    return jax.default_backend() != "cpu"


def dense(weights: Any, y: Any) -> Any:
    W1, b1, W2, b2 = weights
    return jnp.tanh(y @ W1 + b1) @ W2 + b2


def conv(weights: Any, y: Any) -> Any:
    W1, b1, W2, b2 = weights
    layout = ("NHWC", "HWIO", "NHWC")
    hidden = lax.conv_general_dilated(y, W1, (1, 1), "SAME", dimension_numbers=layout)
    hidden = jnp.tanh(hidden + b1)
    return lax.conv_general_dilated(hidden, W2, (1, 1), "SAME", dimension_numbers=layout) + b2


FIELDS = {"dense": dense, "conv": conv}


def solver(problem: Problem, integrate: Callable[[Field, Any], Any]) -> Solve:
    """y_end as a function of (weights, y): f written by hand, under a loop over the steps."""
    field = FIELDS[problem.case]
    if not problem.half:
        return lambda weights, y: integrate(lambda y: field(weights, y), y)

    def solve(weights: Any, y: Any) -> Any:
        weights = [w.astype(jnp.bfloat16) for w in weights]  # once, not per evaluation

        def f(y: Any) -> Any:
            return field(weights, y.astype(jnp.bfloat16)).astype(jnp.float32)

        y = y.astype(jnp.bfloat16).astype(jnp.float32)  # a layer of a mixed policy does it, too
        return integrate(f, y).astype(jnp.bfloat16)

    return solve


def keras_field(problem: Problem, integrate: Callable[[Field, Any], Any]) -> Solve:
    """The field as a Keras layer; the loop by hand."""
    layer = problem.layer.layer

    def solve(weights: Any, y: Any) -> Any:
        def f(y: Any) -> Any:
            return layer.stateless_call(weights, [], y)[0].astype(jnp.float32)

        return integrate(f, y)

    return solve


def scanned(steps: int, step: Callable[[Field, Any], Any]) -> Callable[[Field, Any], Any]:
    """The same step so many times in one `lax.scan`."""

    def integrate(f: Field, y: Any) -> Any:
        return lax.scan(lambda y, _: (step(f, y), None), y, length=steps)[0]

    return integrate


def with_diffrax(
    problem: Problem, method: str, adjoint: Any, max_steps: int
) -> Callable[[Field, Any], Any]:
    """Steps of constant size."""
    import diffrax

    def integrate(f: Field, y: Any) -> Any:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, args: f(y)),
            getattr(diffrax, method)(),
            t0=0.0,
            t1=problem.dt * problem.steps,
            dt0=problem.dt,
            y0=y,
            stepsize_controller=diffrax.ConstantStepSize(),
            adjoint=adjoint,
            max_steps=max_steps,
        )
        return solution.ys[0]

    return integrate


def run(solve: Solve, problem: Problem) -> Callable[[], Any]:
    def loss(weights: Any, y: Any) -> tuple[Any, Any]:
        y = solve(weights, y)
        return jnp.mean(jnp.square(y.astype(jnp.float32))), y

    compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    weights = [jnp.asarray(w) for w in problem.weights]
    y = jnp.asarray(problem.y)
    return lambda: jax.block_until_ready(compiled(weights, y))


def read(answer: Any) -> list[np.ndarray]:
    return [np.asarray(x, "float32") for x in jax.tree.leaves(answer)]


def entries(problem: Problem) -> list[Entry]:
    def ours(weights: Any, y: Any) -> Any:
        return problem.layer.stateless_call(weights, [], y)[0]

    loop = scanned(problem.steps, problem.step)
    bare_loop = scanned(problem.steps, problem.bare_step)
    found = Entries(read)
    found.add(OURS, OURS, run(ours, problem))
    for role, name, integrate in (
        (BY_HAND, "by hand, lax.scan", loop),
        (BY_HAND, "by hand, unrolled", problem.unrolled),
        (BARE, "bare, lax.scan", bare_loop),
        (BARE, "bare, unrolled", problem.bare),
    ):
        found.add(role, name, run(solver(problem, integrate), problem))
    found.add(KERAS_FIELD, "f in Keras, lax.scan", run(keras_field(problem, loop), problem))
    if method := DIFFRAX.get(problem.method):
        add_diffrax(found, problem, method)
    return found.found


def add_diffrax(found: Entries, problem: Problem, method: str) -> None:
    """As it comes, and with room for exactly as many steps as there are."""
    if not find_spec("diffrax"):
        found.add_missing("diffrax")
        return
    from diffrax import DirectAdjoint, RecursiveCheckpointAdjoint

    def add(role: str, name: str, adjoint: Any, max_steps: int = problem.steps) -> None:
        solve = solver(problem, with_diffrax(problem, method, adjoint, max_steps))
        found.add(role, f"diffrax, {name}", run(solve, problem))

    add("diffrax", "as it comes", RecursiveCheckpointAdjoint(), max_steps=4096)
    add("diffrax", "DirectAdjoint", DirectAdjoint())
    add("diffrax, tuned", "a checkpoint a step", RecursiveCheckpointAdjoint(problem.steps))
