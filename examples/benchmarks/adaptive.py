"""RKAdaptive beside diffrax (JAX) and torchdiffeq (PyTorch): accuracy, and time forth and back.

    pip install keras-rk diffrax        # or torchdiffeq
    KERAS_BACKEND=jax python examples/benchmarks/adaptive.py [--quick] [--rounds 21] [--clock cpu]
    KERAS_BACKEND=torch python examples/benchmarks/adaptive.py

The same method (Tsit5 or Dopri5), tolerances, field and start in one process, in turns. README.md
says what is measured.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

from timing import Contestant, environment, shown, table, take_turns

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import ops
from scipy.integrate import solve_ivp

from keras_rk.layers import RKAdaptive

BACKEND = keras.backend.backend()
METHODS = {"tsitouras54": "Tsit5", "dormand_prince54": "Dopri5"}
SHAPES = {"small": (64, 4, 32), "medium": (128, 32, 128)}  # batch, features, hidden
ATOL = 1e-6
STARTS = 8
CLOCKS = {"wall": perf_counter, "cpu": process_time}  # the latter of all threads


class VanDerPol(keras.layers.Layer):
    """y'' = 2 (1 - y^2) y' - y."""

    def call(self, y: Any) -> Any:
        x, v = y[..., :1], y[..., 1:]
        return ops.concatenate([v, 2 * (1 - x * x) * v - x], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def van_der_pol(x: Any, v: Any) -> tuple:
    return v, 2 * (1 - x * x) * v - x


def weights_of(features: int, hidden: int) -> list[np.ndarray]:
    """Those of Dense(hidden, tanh), Dense(features), such that the field does something."""
    random = np.random.default_rng(0)
    first = random.normal(size=(features, hidden)) * 1.5 / np.sqrt(features)
    second = random.normal(size=(hidden, features)) * 3 / np.sqrt(hidden)
    bias = random.normal(size=hidden)
    values = first, bias, second, np.zeros(features)
    return [value.astype("float32") for value in values]


def our_network(method: str, shape: tuple, rtol: float, control: str, end: float) -> RKAdaptive:
    batch, features, hidden = shape
    dense = keras.layers.Dense
    f = keras.Sequential([dense(hidden, activation="tanh"), dense(features)])
    options = {"rtol": rtol, "atol": ATOL, "t1": end, "control": control, "max_steps": 512}
    layer = RKAdaptive(f, method, **options)
    layer.build((batch, features))
    f.set_weights(weights_of(features, hidden))
    return layer


# ------------------------------------------------------------------------------------ accuracy


@dataclass
class Result:
    error: float
    evaluations: int


def ours_on_van_der_pol(method: str, rtol: float, starts: np.ndarray, end: float) -> list[Result]:
    layer = RKAdaptive(VanDerPol(), method, rtol, rtol, 4000, t1=end, control="batch")
    results = []
    for y in starts:
        found = ops.convert_to_numpy(layer(y))
        results.append(Result(error_of(found, y, end), layer.statistics.evaluations))  # type: ignore
    return results


def mean_of(results: list[Result]) -> Result:
    """The geometric mean of the errors, and the mean of the evaluations."""
    errors = np.exp(np.mean(np.log([result.error for result in results])))
    return Result(float(errors), round(np.mean([result.evaluations for result in results])))


def error_of(found: np.ndarray, y: np.ndarray, end: float) -> float:
    exact = solve_ivp(
        lambda t, y: van_der_pol(*y), (0, end), y[0].astype(float), "DOP853", rtol=1e-12, atol=1e-12
    )
    return float(np.max(np.abs(found[0] - exact.y[:, -1])))


def accuracy(others: Others, tolerances: tuple) -> str:
    starts, end = np.random.default_rng(2).uniform(-2, 2, (STARTS, 1, 2)).astype("float32"), 10.0
    rows = []
    for method in others.methods:
        for rtol in tolerances:
            ours = mean_of(ours_on_van_der_pol(method, rtol, starts, end))
            theirs = mean_of([others.van_der_pol(method, rtol, y, end) for y in starts])
            # What the other would need for our error: one of order 5 has error ~ n^-5.
            equal = theirs.evaluations * (theirs.error / ours.error) ** 0.2
            rows.append(
                (
                    method,
                    f"{rtol:g}",
                    f"{ours.error:.2e}, {ours.evaluations}",
                    f"{theirs.error:.2e}, {theirs.evaluations}",
                    f"{ours.evaluations / theirs.evaluations:.2f}",
                    f"{ours.evaluations / equal:.2f}",
                )
            )
    heading = ("method", "rtol = atol", "ours: error, evaluations", others.name, "ratio")
    return table((*heading, "ratio at equal error"), rows)


# ---------------------------------------------------------------------------------------- time


class Others:
    """What the other library computes."""

    name: str
    methods: tuple[str, ...]
    controls: tuple[str, ...]
    packages: tuple[str, ...]

    def van_der_pol(self, method: str, rtol: float, y: np.ndarray, end: float) -> Result:
        raise NotImplementedError

    def theirs(
        self, method: str, shape: tuple, rtol: float, control: str, end: float, gradient: bool
    ) -> Callable[[], Any]:
        raise NotImplementedError

    def ours(
        self, method: str, shape: tuple, rtol: float, control: str, end: float, gradient: bool
    ) -> Callable[[], Any]:
        raise NotImplementedError


def starts_of(shape: tuple) -> np.ndarray:
    """Some batches, since the number of steps is a matter of luck for each."""
    return np.random.default_rng(1).normal(size=(4, *shape[:2])).astype("float32")


class Diffrax(Others):
    """JAX: everything in one `jax.jit`, which has run once before it is timed."""

    name = "diffrax"
    methods = ("tsitouras54", "dormand_prince54")
    controls = ("batch", "sample")
    packages = ("jax", "jaxlib", "diffrax", "equinox")

    def _solve(self, method: str, field: Any, y: Any, args: Any, rtol: float, atol: float, end: Any,
               most: int) -> Any:  # fmt: skip
        import diffrax

        return diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            getattr(diffrax, METHODS[method])(),
            t0=0.0,
            t1=end,
            dt0=None,
            y0=y,
            args=args,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
            max_steps=most,
        )

    def van_der_pol(self, method: str, rtol: float, y: np.ndarray, end: float) -> Result:
        import jax.numpy as jnp

        def field(t: Any, y: Any, args: Any) -> Any:
            return jnp.stack(van_der_pol(y[..., 0], y[..., 1]), axis=-1)

        found = self._solve(method, field, jnp.asarray(y), None, rtol, rtol, end, 4000)
        steps = int(found.stats["num_steps"])
        return Result(error_of(np.asarray(found.ys[0]), y, end), 2 + 6 * steps)

    def theirs(
        self, method: str, shape: tuple, rtol: float, control: str, end: float, gradient: bool
    ) -> Callable[[], Any]:
        import jax
        import jax.numpy as jnp

        def field(t: Any, y: Any, weights: Any) -> Any:
            W1, b1, W2, b2 = weights
            return jnp.tanh(y @ W1 + b1) @ W2 + b2

        def solve(weights: Any, y: Any) -> Any:
            return self._solve(method, field, y, weights, rtol, ATOL, end, 512).ys[0]

        if control == "sample":
            solve = jax.vmap(solve, in_axes=(None, 0))
        weights = [jnp.asarray(w) for w in weights_of(*shape[1:])]
        return self._timed(solve, weights, list(map(jnp.asarray, starts_of(shape))), gradient)

    def ours(
        self, method: str, shape: tuple, rtol: float, control: str, end: float, gradient: bool
    ) -> Callable[[], Any]:
        import jax.numpy as jnp

        layer = our_network(method, shape, rtol, control, end)
        fixed = [v.value for v in layer.non_trainable_variables]

        def solve(weights: Any, y: Any) -> Any:
            return layer.stateless_call(weights, fixed, y)[0]

        weights = [v.value for v in layer.trainable_variables]
        return self._timed(solve, weights, list(map(jnp.asarray, starts_of(shape))), gradient)

    def _timed(self, solve: Any, weights: Any, starts: list, gradient: bool) -> Callable[[], Any]:
        import jax
        import jax.numpy as jnp

        def loss(weights: Any, y: Any) -> Any:
            return jnp.sum(solve(weights, y) ** 2)

        run = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)) if gradient else loss)
        return lambda: [jax.block_until_ready(run(weights, y)) for y in starts]


class Torchdiffeq(Others):
    """PyTorch: eager, the gradient by backpropagation (`odeint`, not its adjoint)."""

    name = "torchdiffeq"
    methods = ("dormand_prince54",)
    controls = ("batch",)
    packages = ("torch", "torchdiffeq")

    def van_der_pol(self, method: str, rtol: float, y: np.ndarray, end: float) -> Result:
        import torch
        from torchdiffeq import odeint

        evaluations = 0

        def field(t: Any, y: Any) -> Any:
            nonlocal evaluations
            evaluations += 1
            return torch.stack(van_der_pol(y[..., 0], y[..., 1]), dim=-1)

        times = torch.tensor([0.0, end])
        found = odeint(field, torch.as_tensor(y), times, rtol=rtol, atol=rtol, method="dopri5")
        return Result(error_of(found[-1].numpy(), y, end), evaluations)

    def theirs(
        self, method: str, shape: tuple, rtol: float, control: str, end: float, gradient: bool
    ) -> Callable[[], Any]:
        import torch
        from torchdiffeq import odeint

        _, features, hidden = shape
        linear = torch.nn.Linear
        f = torch.nn.Sequential(linear(features, hidden), torch.nn.Tanh(), linear(hidden, features))
        with torch.no_grad():
            for parameter, value in zip(f.parameters(), weights_of(features, hidden), strict=True):
                parameter.copy_(torch.as_tensor(value.T))
        times = torch.tensor([0.0, end])

        def solve(y: Any) -> Any:
            return odeint(lambda t, y: f(y), y, times, rtol=rtol, atol=ATOL, method="dopri5")[-1]

        return self._timed(solve, list(f.parameters()), shape, gradient)

    def ours(
        self, method: str, shape: tuple, rtol: float, control: str, end: float, gradient: bool
    ) -> Callable[[], Any]:
        layer = our_network(method, shape, rtol, control, end)
        return self._timed(layer, [v.value for v in layer.trainable_variables], shape, gradient)

    def _timed(self, solve: Any, weights: Any, shape: tuple, gradient: bool) -> Callable[[], Any]:
        import torch

        starts = [torch.as_tensor(y).requires_grad_() for y in starts_of(shape)]

        def one(y: Any) -> Any:
            with torch.set_grad_enabled(gradient):
                value = (solve(y) ** 2).sum()
            found = torch.autograd.grad(value, [*weights, y]) if gradient else []
            return value.detach(), found

        return lambda: [one(y) for y in starts]


def time(others: Others, arguments: argparse.Namespace) -> str:
    rows = []
    end, rtol = 1.0, 1e-4
    for control in others.controls:
        for name in ("small",) if arguments.quick else SHAPES:
            for gradient in (False, True):
                case = others.methods[0], SHAPES[name], rtol, control, end, gradient
                pair = [
                    Contestant("ours", others.ours(*case)),
                    Contestant(others.name, others.theirs(*case)),
                ]
                for one in pair:  # compile
                    one.answer = one.run()
                check_alike(pair)
                title = f"{control}, {name}, {'gradient' if gradient else 'forward'}"
                take_turns(
                    title,
                    pair,
                    CLOCKS[arguments.clock],
                    rounds=arguments.rounds,
                    limit=60,
                    budget=60,
                )
                ours, theirs = pair
                ratios = [b / a for a, b in zip(ours.seconds, theirs.seconds, strict=False)]
                low, middle, high = np.percentile(ratios, [25, 50, 75])
                rows.append(
                    (
                        control,
                        name,
                        "forth and back" if gradient else "forth",
                        shown(ours.median_ms),
                        shown(theirs.median_ms),
                        f"{middle:.2f} ({low:.2f} to {high:.2f})",
                        f"{min(theirs.seconds) / min(ours.seconds):.2f}",
                    )
                )
    heading = (
        "steps of the",
        "size",
        "",
        "ours, ms",
        f"{others.name}, ms",
        "times as long as ours",
    )
    return table((*heading, "of the best"), rows)


def check_alike(pair: list[Contestant]) -> None:
    """The two compute the same, as far as their tolerances go."""
    ours, theirs = (float(np.asarray(ops.convert_to_numpy(leaf(one.answer)))) for one in pair)
    if not np.isclose(ours, theirs, rtol=1e-2):
        raise SystemExit(f"They compute different things: {ours} and {theirs}.")


def leaf(answer: Any) -> Any:
    while isinstance(answer, (tuple, list)):
        answer = answer[0]
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one size, few rounds")
    parser.add_argument("--only", choices=("accuracy", "time"))
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--clock", choices=list(CLOCKS), default="cpu")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds = min(arguments.rounds, 5)
    if BACKEND not in ("jax", "torch"):
        raise SystemExit(
            "There is nothing to compare with on TensorFlow: KERAS_BACKEND=jax or torch."
        )
    others: Others = Diffrax() if BACKEND == "jax" else Torchdiffeq()
    if BACKEND == "torch":
        import torch

        torch.set_num_threads(1)
    print(environment("keras", *others.packages))
    if arguments.only != "time":
        print("\nVan der Pol, mu = 2, to t = 10; error at the end, evaluations of f\n")
        print(accuracy(others, (1e-3, 1e-4) if arguments.quick else (1e-3, 1e-4, 1e-5)))
    if arguments.only == "accuracy":
        return
    print(
        f"Dense(hidden, tanh), Dense; rtol 1e-4, atol {ATOL:g}, t from 0 to 1 ({arguments.clock})\n"
    )
    print(time(others, arguments))


if __name__ == "__main__":
    main()
