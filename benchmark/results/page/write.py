"""Puts the page together. Names come from strangers: the template escapes them all, and no script but ours runs."""

import base64
import hashlib
from pathlib import Path

import jinja2
import markupsafe
import pandas as pd

from benchmark.results.board import Board
from benchmark.results.page import content
from benchmark.results.page.plots import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, plots
from benchmark.results.style import Look, method_colours

HERE = Path(__file__).parent


def page(board: Board, frame: pd.DataFrame) -> str:
    """The page of a leaderboard (`frame`, see `results.leaderboard`) and its board's curves, as HTML.

    The same results give the same text. It loads nothing, and its security policy forbids it to.
    """
    frame = content.with_trust(frame)
    scale = content.score_scale(frame)
    curves = [table["algorithm"] for table in board.curves.values()]
    colours = method_colours({*frame["algorithm"], *(pd.concat(curves) if curves else ())})
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = _number
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        overall=content.overall(frame, scale), families=content.families(frame, scale),
        plots=plots(board, colours), colours=colours, marks=content.MARKS, trusts=sorted(set(frame["trust"])),
        splits=sorted(set(frame["split"])), scale=scale,
        contexts=sorted({line.context for lines in content.families(frame, scale).values() for line in lines}),
        size={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM},
        script=script, script_hash=digest, style=(HERE / "page.css").read_text(encoding="utf-8"), dashes=_dashes,
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-", "\N{MINUS SIGN}")


def _dashes(look: Look) -> markupsafe.Markup:
    """The attribute of a stroke that is not solid."""
    if isinstance(look.dashes, str):
        return markupsafe.Markup()
    lengths = " ".join(f"{2 * length:g}" for length in look.dashes[1])
    return markupsafe.Markup('stroke-dasharray="{}"').format(lengths)
