"""``tinygrad-lab draw``: draw the graph of a formula and print its derivatives."""

import re
from pathlib import Path

import click

from tinygrad_lab.cli.output import echo

__all__ = ["command"]


class _DrawCommand(click.Command):
    """Reads an argument with a leading minus as a formula, not as an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Click sees no option in an argument with a leading space, which is stripped later.
        return super().parse_args(
            ctx, [f" {arg}" if re.match("-[^-oh]", arg) else arg for arg in args]
        )


def _values(
    context: click.Context, parameter: click.Parameter, assignments: tuple[str, ...]
) -> dict[str, float]:
    """Parse assignments such as ``x=-2``."""
    values: dict[str, float] = {}
    for assignment in assignments:
        name, equals, number = (part.strip() for part in assignment.partition("="))
        if not (equals and name.isidentifier()):
            raise click.BadParameter(
                f"{assignment!r} is not of the form name=number, for example x=-2"
            )
        if name in values:
            raise click.BadParameter(f"{name!r} is given twice")
        try:
            values[name] = float(number)
        except ValueError:
            raise click.BadParameter(f"in {assignment!r}, {number!r} is not a number") from None
    return values


@click.command("draw", cls=_DrawCommand)
@click.argument("formula")
@click.argument("values", nargs=-1, metavar="[NAME=NUMBER]...", callback=_values)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("graph.svg"),
    show_default=True,
    help="The picture; its extension selects the format: .svg, .pdf, .png or .dot.",
)
def command(formula: str, values: dict[str, float], output: Path) -> None:
    """Draw the graph of a formula, with values, gradients and local derivatives.

    FORMULA contains numbers, names, + - * / **, parentheses, and functions such as exp, log, sin,
    tanh, sigmoid and relu; "loss = ..." names its result. Give a number for each name after it.
    The value and the derivatives are also printed.

    \b
    Examples:
      tinygrad-lab draw "(x + y) * z" x=-2 y=5 z=-4 -o f.svg
      tinygrad-lab draw "sigmoid(w * x + b)" w=2 x=-1 b=-3 -o neuron.svg
    """
    from tinygrad_lab import graph
    from tinygrad_lab.show.draw import draw
    from tinygrad_lab.show.expression import parse

    result = parse(formula.strip(), values)
    if result.name is None and "f" not in values:
        result.name = "f"
    if result.requires_grad:
        result.backward()
    name = result.name or "result"
    draw(result).save(output)
    echo(f"{name} = {result.item():g}")
    for node in graph(result).leaves:
        if node.requires_grad and node.gradient is not None:
            echo(f"d{name}/d{node.name} = {node.gradient:g}")
    echo(f"picture: {output}")
