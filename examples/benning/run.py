"""The experiment of Benning et al. (2019) with Adam and backpropagation, and several seeds.

    python examples/benning/run.py            everything, and the report (ten minutes on a core)
    python examples/benning/run.py --quick    the shape of it, in a minute or two

Their networks (nets.py) learn their four sets of points (points.py). They minimise by gradient
descent with backtracking; here all networks take the same number of steps of Adam on all points.
The seeds of a network and its four data sets train together in one program (jax.vmap). A network
that is finished leaves a record; called again, the run goes on with the others, and the report is
written from the records. What is compared is fixed in contrasts.py.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import keras
import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from benning_report import write_report
from nets import NETWORKS, build, factors, initial, onto_simplex, step_sizes
from points import DATA, points
from spirals_results import replacing

HERE = Path(__file__).resolve().parent

FULL = {"seeds": 10, "points": 500, "steps": 3000, "rate": 0.01}
QUICK = {"seeds": 2, "points": 100, "steps": 200, "rate": 0.01}
KEPT = 50  # values of each curve


class Training:
    """A network, and the compiled function that trains it with all seeds and data sets."""

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self.network, self.settings = NETWORKS[name], settings
        self.model = build(self.network)
        self.optimizer = keras.optimizers.Adam(settings["rate"])
        self.optimizer.build(self.model.trainable_variables)
        self.others = [variable.value for variable in self.model.non_trainable_variables]
        self.factors = factors(self.model) if self.network.projected else None
        self.advance = jax.jit(jax.vmap(self._advance))
        self.evaluate = jax.jit(jax.vmap(self._evaluate))

    def _outputs(self, trained: list, x: Any) -> Any:
        return self.model.stateless_call(trained, self.others, x, training=True)[0][:, 0]

    def _objective(self, trained: list, x: Any, labels: Any) -> Any:
        return jnp.mean((self._outputs(trained, x) - labels) ** 2) / 2

    def _advance(self, trained: list, optimizer: list, x: Any, labels: Any) -> tuple:
        """Some steps of Adam, and the objective before them."""

        def step(carry: tuple, _: Any) -> tuple:
            trained, optimizer = carry
            value, gradients = jax.value_and_grad(self._objective)(trained, x, labels)
            trained, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trained)
            if self.factors is not None:
                trained[self.factors] = onto_simplex(trained[self.factors])
            return (trained, optimizer), value

        steps = self.settings["steps"] // KEPT
        carry, values = jax.lax.scan(step, (trained, optimizer), None, steps)
        return (*carry, values[0])

    def _evaluate(self, trained: list, x: Any, labels: Any) -> tuple:
        outputs = self._outputs(trained, x)
        return jnp.mean((outputs - labels) ** 2) / 2, jnp.mean((outputs > 0.5) == (labels > 0.5))

    def records(self) -> list[dict[str, Any]]:
        """Trains, and says what came of it for each data set and seed."""
        cases = [(data, seed) for data in DATA for seed in range(self.settings["seeds"])]
        arrays = [points(data, seed, self.settings["points"]) for data, seed in cases]
        x, labels, *test = (jnp.stack(parts) for parts in zip(*arrays, strict=True))
        starts = [initial(self.model, self.network, seed) for _, seed in cases]
        trained = [jnp.stack(parts) for parts in zip(*starts, strict=True)]
        state = [jnp.stack([v.value] * len(cases)) for v in self.optimizer.variables]
        curves = []
        for _ in range(KEPT):
            trained, state, objective = self.advance(trained, state, x, labels)
            curves.append(np.asarray(objective))
        objectives, accuracies = map(np.asarray, self.evaluate(trained, x, labels))
        test_objectives, test_accuracies = map(np.asarray, self.evaluate(trained, *test))
        return [
            {
                "data": data,
                "seed": seed,
                "objective": float(objectives[n]),
                "accuracy": float(accuracies[n]),
                "test_objective": float(test_objectives[n]),
                "test_accuracy": float(test_accuracies[n]),
                "curve": [float(f"{float(values[n]):.4g}") for values in curves],
                "step_sizes": [
                    float(f"{float(h):.4g}")
                    for h in step_sizes(
                        self.model, self.network, [np.asarray(v[n]) for v in trained]
                    )
                ],
            }
            for n, (data, seed) in enumerate(cases)
        ]


def finished(file: Path, settings: dict[str, Any]) -> bool:
    """Whether a network has its record; refuses one of other settings."""
    if not file.exists():
        return False
    found = json.loads(file.read_text())["settings"]
    if found != settings:
        raise SystemExit(f"{file} is of other settings: {found}. Choose another --output.")
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few seeds, points and steps")
    parser.add_argument("--output", type=Path, help="where records and the report go")
    arguments = parser.parse_args()
    settings = QUICK if arguments.quick else FULL
    folder = arguments.output or Path("benning-results-quick" if arguments.quick else HERE)
    for name in NETWORKS:
        file = folder / "records" / f"{name}.json"
        if finished(file, settings):
            continue
        start = time.perf_counter()
        records = Training(name, settings).records()
        seconds = round(time.perf_counter() - start, 1)
        with replacing(file) as temporary:
            found = {"settings": settings, "seconds": seconds, "records": records}
            temporary.write_text(json.dumps(found) + "\n")
        print(f"{name}: {seconds} s", flush=True)
    print(write_report(folder))


if __name__ == "__main__":
    main()
