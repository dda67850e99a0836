"""A headline and the rows below it in, lines for a terminal that has colours out: drawn by rich."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.report.holdings import Row


def drawn(headline: Sequence[tuple[str, str]], rows: Sequence[Row], width: int) -> list[str]:
    """`headline` in pieces, each with its style."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, highlight=False)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(f"  {name}", Text(text))
    with console.capture() as captured:
        console.print(Text.assemble(*headline), table, sep="\n")
    return captured.get().splitlines()
