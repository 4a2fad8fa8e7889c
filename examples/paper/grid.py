"""Which networks are trained: a network as a value, and the experiments as lists of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from typing import Any

DEPTHS = tuple(range(5, 51, 5))
CONSTRUCTION_DEPTHS = (10, 25, 40, 50)
STEP_SIZES = (0.1, 0.5, 0.8, 1.0, 1.5)
SHALLOW = tuple(depth for depth in DEPTHS if depth <= 15)
DEEP = tuple(depth for depth in DEPTHS if depth >= 40)
# "residual" is "euler" with dt = 1 to the last bit, so that it is not trained a second time.
METHODS = ("standard", "residual2", "euler", "heun2", "rk4", "rk8", "inconsistent")
CONVERGENT = ("euler", "heun2", "rk4")
# How often F is evaluated in a block; "residual2" has an F of two layers, evaluated once.
STAGES = {
    **{"standard": 1, "residual": 1, "residual2": 1, "euler": 1, "heun2": 2, "rk4": 4},
    **{"rk8": 11, "inconsistent": 4},
}
HORIZON = 5.0  # dt = HORIZON / depth: deeper networks take smaller steps to the same end
HORIZON_DEPTHS = (10, 20, 40, 80)
HARDER = ("spirals_turns", "spirals_noise")
EXPERIMENTS = (
    *("depth", "horizon", "ode", "roughness", "dt", "schedule", "harder"),
    *("normalization", "construction", "digits"),
)
DIAGNOSED = ("horizon", "ode", "roughness")  # the networks that are asked whether they are ODEs
MATCHED = (  # method, depth: about as many evaluations of F: 50, 50, 48 and 55; 20, 20, 20
    (("euler", 50), ("heun2", 25), ("rk4", 12), ("rk8", 5)),
    (("euler", 20), ("heun2", 10), ("rk4", 5)),
)
MANY, FEW = 20, 5  # seeds


@dataclass(frozen=True)
class Network:
    """What a network is; with a seed, it is trained and becomes a record.

    Attributes:
        data: "spirals"; "spirals_turns" and "spirals_noise", which are harder; or "digits".
        method: "standard", "residual", "residual2" (two layers in F), a Runge-Kutta method, or
            "inconsistent": the stages of RK4 with weights of 1/2 each, which sum to two.
        depth: the number of blocks.
        normalization: where batch normalization is: "after" each step; "inside" F, before its
            activation, with statistics for each evaluation; "inside_shared", with one set for all
            evaluations of a block; "inside_last", as "inside" but after the activation; "none".
        dt: the factor of the residual, y + dt F(y), or of the shortcut, dt y + F(y).
        scaled: which of them it is: "residual" or "shortcut".
        activation: of the layers in F.
        stddev: of normal initial weights in F; None for Keras's default, Glorot's.
        activation_after: whether the activation is applied to the sum as well.
        smoothness: the weight of the penalty on differences of the weights of consecutive blocks.
        schedule: of Adam's learning rate: "constant", Keras's 0.001, or "cosine", from there to 0.
    """

    data: str = "spirals"
    method: str = "rk4"
    depth: int = 50
    normalization: str = "after"
    dt: float = 1.0
    scaled: str = "residual"
    activation: str = "tanh"
    stddev: float | None = None
    activation_after: bool = False
    smoothness: float = 0.0
    schedule: str = "constant"

    def __post_init__(self) -> None:
        if self.dt == 1.0:  # with a factor of one both ways are the same network
            object.__setattr__(self, "scaled", "residual")

    @property
    def name(self) -> str:
        """A name for files: what differs from the defaults."""
        parts = [] if self.data == "spirals" else [self.data]
        parts += [self.method, f"depth{self.depth}", self.normalization]
        for field in fields(self)[4:]:
            value = getattr(self, field.name)
            if value != field.default:
                parts.append(f"{field.name}-{value}")
        return "_".join(parts)

    @property
    def evaluations(self) -> int:
        """How often F is evaluated for an output."""
        return self.depth * STAGES[self.method]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def depth_networks(
    depths: tuple[int, ...], methods: tuple[str, ...] = METHODS, **others: Any
) -> list[Network]:
    """The first experiment of the paper: every method at every depth."""
    return [Network(method=method, depth=depth, **others) for method in methods for depth in depths]


def normalization_networks(depths: tuple[int, ...], methods: tuple[str, ...]) -> list[Network]:
    """Batch normalization inside F. Euler's method has one stage, so both ways are the same."""
    return [
        network
        for method in methods
        for where in (("inside",) if STAGES[method] == 1 else ("inside", "inside_shared"))
        for network in depth_networks(depths, (method,), normalization=where)
    ]


def dt_networks(
    step_sizes: tuple[float, ...], methods: tuple[str, ...], **others: Any
) -> list[Network]:
    """The second experiment of the paper, with the residual scaled and with the shortcut scaled."""
    return [
        Network(method=method, dt=dt, scaled=scaled, **others)
        for method in methods
        for scaled in ("residual", "shortcut")
        for dt in step_sizes
    ]


def construction_networks(depths: tuple[int, ...]) -> list[Network]:
    """What may have made the paper's Euler and residual networks differ."""
    variants = [
        Network(method="euler", activation=activation, stddev=stddev, activation_after=after)
        for activation in ("tanh", "relu")
        for stddev in (None, 0.5)
        for after in (False, True)
    ]
    variants += [
        Network(method=method, activation="relu", **change)
        for method in ("heun2", "rk4")
        for change in ({"stddev": 0.5}, {"activation_after": True})
    ]
    variants += [
        Network(method=method, normalization=where, activation=activation)
        for method in ("euler", "residual2")
        for where in ("none", "inside", "inside_last")
        for activation in ("tanh", "relu")
    ]
    return [replace(variant, depth=depth) for variant in variants for depth in depths]


def ode_networks(methods: tuple[str, ...]) -> list[Network]:
    """Networks that are asked whether they are ODEs, without and with a smooth depth."""
    return [
        Network(method=method, normalization=where, smoothness=smoothness)
        for method in methods
        for where, weights in (("none", (0.0, 0.01, 0.1)), ("after", (0.0, 0.1)))
        for smoothness in weights
    ]


def digits_networks(
    blocks: int, methods: tuple[str, ...] = ("standard", "euler", "heun2", "rk4")
) -> list[Network]:
    """The same blocks for each method, and blocks for the same evaluations of F."""
    return [
        Network("digits", method, depth, "inside", activation="relu")
        for method in methods
        for depth in sorted({blocks, 4 * blocks // STAGES[method]})
    ]


def horizon_networks(
    methods: tuple[str, ...], depths: tuple[int, ...] = HORIZON_DEPTHS, **others: Any
) -> list[Network]:
    """Ever more and smaller steps to the same end: dt = HORIZON / depth."""
    return [
        Network(method=method, depth=depth, dt=HORIZON / depth, **others)
        for method in methods
        for depth in depths
    ]


def roughness_networks(methods: tuple[str, ...]) -> list[Network]:
    """A penalty on rough weights that stays as it is with depth, and one that grows with it.

    With dt = T / depth, depth * sum |w_{k+1} - w_k|^2 is an integral of |dw/dt|^2 in the limit
    (Thorpe and van Gennip, Deep limits of residual neural networks); without the factor it
    vanishes there. Both are equal at the first depth.
    """
    return list(
        dict.fromkeys(
            replace(network, smoothness=0.01 * factor)
            for network in horizon_networks(methods, normalization="none")
            for factor in (1, network.depth // HORIZON_DEPTHS[0])
        )
    )


def harder_networks(methods: tuple[str, ...], depths: tuple[int, ...] = (10, 50)) -> list[Network]:
    """On harder spirals: equal depths, and blocks for about as many evaluations as Euler's 50."""
    return [
        network
        for data in HARDER
        for network in (
            *depth_networks(depths, methods, data=data),
            *(Network(data, method, 50 // STAGES[method]) for method in methods[2:]),
        )
    ]


def experiments(quick: bool) -> dict[str, list[Network]]:
    """The networks of each experiment; some belong to several."""
    return quick_experiments() if quick else full_experiments()


def full_experiments() -> dict[str, list[Network]]:
    """Everything."""
    methods = (*CONVERGENT, "rk8")
    in_f = {"methods": ("euler",), "activation": "relu"}
    return {
        "depth": [
            *depth_networks(DEPTHS),
            *depth_networks((12,), ("rk4",)),  # as many evaluations as 48 blocks of Euler
        ],
        "horizon": [
            *horizon_networks(CONVERGENT, normalization="none"),
            *horizon_networks(("rk8",), normalization="none"),
            *horizon_networks(("euler", "rk4")),
        ],
        "ode": ode_networks(CONVERGENT),
        "roughness": roughness_networks(("euler", "rk4")),
        "dt": [
            *dt_networks(STEP_SIZES, methods),
            *dt_networks(STEP_SIZES, CONVERGENT, normalization="none"),
            *dt_networks(STEP_SIZES, **in_f, normalization="inside"),
            *dt_networks(STEP_SIZES, **in_f, normalization="inside_last"),
        ],
        "schedule": depth_networks((10, 50), ("standard", *CONVERGENT), schedule="cosine"),
        "harder": harder_networks(("standard", *CONVERGENT)),
        "normalization": [
            *normalization_networks(DEPTHS, CONVERGENT),
            *normalization_networks((10, 30, 50), ("rk8",)),  # which takes as long as all others
        ],
        "construction": construction_networks(CONSTRUCTION_DEPTHS),
        "digits": digits_networks(3),
    }


def quick_experiments() -> dict[str, list[Network]]:
    """Some of it, enough to see the shape of every figure."""
    in_f = {"normalization": "inside_last", "activation": "relu"}
    return {
        "depth": depth_networks((5, 50), ("standard", *CONVERGENT, "rk8")),
        "horizon": horizon_networks(("euler",), (10, 20), normalization="none"),
        "ode": ode_networks(("euler",))[:2],
        "roughness": roughness_networks(("euler",))[:2],
        "dt": [
            *dt_networks((0.1, 1.0, 1.5), ("euler",)),
            *dt_networks((0.1, 1.0, 1.5), ("euler",), **in_f),
        ],
        "schedule": depth_networks((10,), ("standard", "euler"), schedule="cosine"),
        "harder": harder_networks(("standard", "euler"), (10,)),
        "normalization": normalization_networks((5,), CONVERGENT[:2]),
        "construction": [
            n
            for n in construction_networks((25,))
            if n.method == "euler" and n.stddev is None and not n.activation_after
        ],
        "digits": digits_networks(1, ("euler", "rk4")),
    }


def seeds_of(network: Network) -> int:
    """With how many seeds a network is trained in the full run.

    MANY where a question of the report hangs on it: differences of accuracy between seeds have a
    standard deviation of about 0.03, so that 20 seeds find a difference of 0.02 with 80 %, and show
    one smaller than 0.02 to be so. FEW for what is shown beside, or has effects ten times as large:
    a shortcut that is scaled, constructions that may have been the paper's, places of
    normalization.
    """
    return MANY if network in _answering() else FEW


@cache
def _answering() -> frozenset[Network]:
    """The networks that questions of the report hang on."""
    groups = full_experiments()
    by_depth = depth_networks((*SHALLOW, *DEEP), ("standard", *CONVERGENT, "rk8"))
    matched = [Network(method=method, depth=depth) for group in MATCHED for method, depth in group]
    step_sizes = [n for n in groups["dt"] if n.scaled == "residual" and not is_the_same(n)]
    horizon = horizon_networks(CONVERGENT, normalization="none")
    whole = (n for name in ("ode", "roughness", "schedule", "harder") for n in groups[name])
    return frozenset([*by_depth, *matched, *step_sizes, *horizon, *whole])


def is_the_same(network: Network) -> bool:
    """Whether RK4 computes the same: to five digits, with steps of y + 0.1 F(y)."""
    return network.method == "rk8" and network.scaled == "residual" and network.dt == 0.1


def unique(groups: dict[str, list[Network]]) -> Iterator[Network]:
    """Each network once."""
    yield from dict.fromkeys(network for group in groups.values() for network in group)
