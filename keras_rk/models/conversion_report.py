"""What `convert_residuals` did, and what it left alone and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from keras_rk.layers import RKResidual, RKStack
from keras_rk.models.conversion_plan import Plan
from keras_rk.models.conversion_plot import Row, draw_network
from keras_rk.models.recorded_graph import Graph
from keras_rk.models.skip_connections import SkipConnection
from keras_rk.notebook import as_html


@dataclass(frozen=True)
class ConvertedBlock:
    """A residual connection that is a Runge-Kutta block now.

    Attributes:
        name: the name of the sum, after those of the models that it is in.
        layer: the name of the `RKResidual` or `RKStack` that it is in.
        tableau: the name of the method.
        dt: the step size, as the layer has it.
        steps: how many steps.
        shape: the shape of x.
        field: what F calls, in order.
        parameters: how many numbers the weights of F are.
        evaluations: of F, in each call of the block; one in the model before.
    """

    name: str
    layer: str
    tableau: str
    dt: Any
    steps: int
    shape: tuple
    field: tuple[str, ...]
    parameters: int
    evaluations: int


@dataclass(frozen=True)
class KeptSum:
    """A sum that is what it was.

    Attributes:
        name: its name, after those of the models that it is in.
        reason: why it was not converted.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class ConversionReport:
    """Every sum of a model: converted, or kept and why.

    Attributes:
        model: the name of the model.
        converted: the blocks, in the order of the model.
        kept: the other sums.
        network: for each model, what it calls in order, for `plot`.
    """

    model: str
    converted: tuple[ConvertedBlock, ...]
    kept: tuple[KeptSum, ...]
    network: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """How many numbers the weights of all blocks are, in the model before as after."""
        return sum(block.parameters for block in self.converted)

    @property
    def evaluations_before(self) -> int:
        """How often an F is evaluated in a call of the given model, over all blocks."""
        return len(self.converted)

    @property
    def evaluations(self) -> int:
        """How often an F is evaluated in a call of the new model."""
        return sum(block.evaluations for block in self.converted)

    def _repr_html_(self) -> str:
        return as_html(str(self))

    def to_dict(self) -> dict[str, Any]:
        """The report for a program, ready for JSON."""
        numbers = ("parameters", "evaluations_before", "evaluations")
        parts = {
            "converted": [{**asdict(block), "dt": _written(block.dt)} for block in self.converted],
            "kept": [asdict(sum_) for sum_ in self.kept],
        }
        return {"model": self.model, **parts, **{name: getattr(self, name) for name in numbers}}

    def plot(self, target: Any = None) -> Any:
        """Draws the network with its blocks; other layers are counted.

        Args:
            target: a path, to which the picture is written; Matplotlib axes; None for a new figure.

        Returns:
            The Matplotlib figure.
        """
        return draw_network(target, self.network)

    def __str__(self) -> str:
        total = len(self.converted) + len(self.kept)
        lines = [f"{self.model}: {len(self.converted)} of {_count(total, 'sum')} converted"]
        if self.converted:
            rows = [_cells(one) for one in self.converted]
            headings = ("block", "method", "dt", "steps", "evaluations", "parameters", "inside")
            lines += _columns([headings, *rows])
            lines.append(
                f"  {self.parameters:,} parameters in blocks; "
                f"{self.evaluations_before} evaluations of F before, {self.evaluations} now"
            )
        if self.kept:
            lines.append("kept:")
            lines += _columns([(one.name, one.reason) for one in self.kept])
        return "\n".join(lines)


def report_of(
    plan: Plan,
    layers: Mapping[SkipConnection, RKResidual],
    stacks: Sequence[tuple[RKStack, Sequence[SkipConnection]]],
) -> ConversionReport:
    """The report on a plan that was carried out.

    Args:
        plan: the plan.
        layers: the block that each residual connection has become.
        stacks: the stacks, with the connections in them.
    """
    stack_names = {one: stack.name for stack, inside in stacks for one in inside}
    blocks = []
    for one in plan.methods:
        layer = layers[one]
        blocks.append(
            ConvertedBlock(
                name=one.name,
                layer=stack_names.get(one, f"{one.graph.prefix}{layer.name}"),
                tableau=layer.tableau.name or f"{layer.tableau.stages} stages",
                dt=layer.dt,
                steps=layer.steps,
                shape=one.shape,
                field=tuple(type(call.operation).__name__ for call in one.calls),
                parameters=one.parameters,
                evaluations=layer.evaluations,
            )
        )
    order = {name: place for place, name in enumerate(plan.sums)}
    return ConversionReport(
        plan.graphs[0].model.name,
        tuple(sorted(blocks, key=lambda block: order[block.name])),
        tuple(KeptSum(name, plan.kept[name]) for name in plan.sums if name in plan.kept),
        tuple(_row(graph, blocks, plan) for graph in plan.graphs),
    )


def _row(graph: Graph, blocks: Sequence[ConvertedBlock], plan: Plan) -> Row:
    """What a model calls, in order: blocks, sums, and how many other layers between them."""
    by_name = {block.name: block for block in blocks}
    inside = {p for one in plan.methods if one.graph is graph for p in one.interior}
    cells: list[tuple[str, str]] = []
    for place, call in enumerate(graph.calls):
        name = f"{graph.prefix}{call.operation.name}"
        if name in by_name:
            block = by_name[name]
            cells.append(("block", f"{call.operation.name}\n{block.tableau}"))
        elif place in inside:
            continue
        elif name in plan.kept:
            cells.append(("sum", call.operation.name))
        else:
            cells.append(("other", type(call.operation).__name__))
    return Row(graph.model.name, tuple(_merged(cells)))


def _merged(cells: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Cells with other layers that follow one another counted in one."""
    found: list[tuple[str, str]] = []
    waiting: list[str] = []
    for kind, text in [*cells, ("end", "")]:
        if kind == "other":
            waiting.append(text)
            continue
        if waiting:
            names = Counter(waiting)
            text_of = "\n".join(f"{n} {name}" if n > 1 else name for name, n in names.items())
            few = len(names) <= 2
            found.append(("other", text_of if few else f"{len(waiting)} layers"))
            waiting = []
        found.append((kind, text))
    return found[:-1]


def _cells(one: ConvertedBlock) -> tuple:
    inside = one.layer if one.layer != one.name else ""
    numbers = one.steps, one.evaluations, f"{one.parameters:,}"
    return one.name, one.tableau, _written(one.dt), *numbers, inside


def _written(dt: Any) -> Any:
    return dt if isinstance(dt, (int, float)) else str(dt)


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _columns(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Rows of text, the last column as long as it is."""
    cells = [[str(x) for x in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  " + "  ".join(x.ljust(width) for x, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
