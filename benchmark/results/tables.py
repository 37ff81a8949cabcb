"""The leaderboard as text: README's table, and blocks that fit a terminal of 80 columns."""

import math
import textwrap
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from benchmark.errors import ResultError
from benchmark.results.rows import SUCCESSES, USUAL_DATA, data_label, to_show

USUAL_CONTEXT_SIZE = 256
"""The protocol's size of a context, which goes without saying."""
ALWAYS_SHOWN = ("family", "split", "context", "algorithm", "trust", "settings", "steps")
SHOWN_IF_DIFFERENT = ("online_steps", "data", "data_hash", "protocol", "mujoco", "algorithm_version")
NUMBERS = {
    "seeds": "seeds", "unadapted_return": "un-adapted", "adapted_return": "adapted",
    "adapted_standard_error": "± s.e.", "score": "score", "score_interval": "interquartile mean [95 %]",
    "random_return": "random", "blind_return": "blind",
    "expert_return": "expert",
}  # fmt: skip
WIDTHS = {"steps": 7, "seeds": 5, "un-adapted": 10, "adapted ± s.e.": 16, "score": 6, "blind": 8, "expert": 8}
WIDTH = 80
NAME_WIDTH = WIDTH - sum(WIDTHS.values()) - len(WIDTHS)


def context_label(source: str, size: int) -> str:
    """`mixed` for a context of the usual size and `mixed:64` for another; `online` always with its size."""
    return source if size == USUAL_CONTEXT_SIZE and source != "online" else f"{source}:{size}"


def under_usual_conditions(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of split `standard`, the protocol's context and no online step: README's, as all are too many."""
    split, context = frame["split"] == "standard", frame["context"] == "mixed"
    return frame[
        split & context & (frame["context_size"] == USUAL_CONTEXT_SIZE) & (frame["online_steps"] == 0)
    ]


def readme_table(frame: pd.DataFrame) -> str:
    """The leaderboard as a Markdown table, a row per key.

    Data hash, protocol, MuJoCo and the algorithms' versions are columns where rows differ in them, the data set also
    where it is not the usual one.
    """
    extra = to_show(frame, SHOWN_IF_DIFFERENT)
    heading = [*ALWAYS_SHOWN, *extra, *NUMBERS.values()]
    lines = ["| " + " | ".join(heading) + " |", "|" + " --- |" * len(heading)]
    for line in _labelled(frame).to_dict("records"):
        if line["submission"]:
            line["trust"] = f"[{line['trust']}](leaderboard/submissions/{line['submission']})"
        lines.append(
            "| " + " | ".join(_cell(line[name]) for name in (*ALWAYS_SHOWN, *extra, *NUMBERS)) + " |"
        )
    return "\n".join(lines)


def printed_table(frame: pd.DataFrame) -> str:
    """The leaderboard as a block per family, split and context; no number is cut, and 80 columns are enough."""
    extra = to_show(frame, SHOWN_IF_DIFFERENT)
    blocks = []
    for (family, split, context), part in _labelled(frame).groupby(
        ["family", "split", "context"], sort=False
    ):
        lines = [
            f"{family}, split {split}, context {context}",
            _row("algorithm", {name: name for name in WIDTHS}),
        ]
        for line in part.to_dict("records"):
            shown = {NUMBERS.get(str(name), str(name)): _cell(value) for name, value in line.items()}
            shown["adapted ± s.e."] = f"{shown['adapted']} ± {shown['± s.e.']}"
            lines.append(_row(shown["algorithm"], shown))
            notes = [shown["settings"].replace(";", "; ")] if shown["settings"] else []
            notes += [
                f"{name} {shown[name]}" for name in extra if (name, shown[name]) != ("data", USUAL_DATA)
            ]
            notes += [f"submission {shown['submission']}: {shown['trust']}"] if shown["submission"] else []
            notes += _success_notes(line)
            lines += textwrap.wrap(
                "; ".join(notes), WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
            )
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _success_notes(line: Mapping[Hashable, Any]) -> list[str]:
    """Success rates in percent where there are any: the score is the adapted policy's."""
    rates = {name.removesuffix("_success"): line.get(name, math.nan) for name in SUCCESSES}
    if any(math.isnan(rate) for rate in rates.values()):
        return []
    shown = ", ".join(f"{name} {100 * rate:.1f}" for name, rate in rates.items() if name != "adapted")
    return [f"score is the success rate in percent; {shown.replace('unadapted', 'un-adapted')}"]


def _row(name: str, shown: dict[str, str]) -> str:
    """A line of a block; a name too long for its column has a line of its own."""
    above, name = (f"{name}\n", "") if len(name) > NAME_WIDTH else ("", name)
    return above + " ".join(
        [name.ljust(NAME_WIDTH), *(shown[column].rjust(width) for column, width in WIDTHS.items())]
    )


def _labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """With contexts and data as shown, hashes short, and the interquartile mean of the score beside its interval."""
    contexts = zip(frame["context"], frame["context_size"], strict=True)
    labels = [context_label(source, size) for source, size in contexts]
    ends = zip(frame["score_interquartile_mean"], frame["score_low"], frame["score_high"], strict=True)
    intervals = [
        f"{middle:.1f}" + ("" if math.isnan(low) else f" [{low:.1f}, {high:.1f}]")
        for middle, low, high in ends
    ]
    data, hashes = frame["data"].map(data_label), frame["data_hash"].str[:12]
    return frame.assign(context=labels, data=data, data_hash=hashes, score_interval=intervals)


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return "-" if math.isnan(value) else f"{value:.1f}"


def replace_between_markers(text: str, marker: str, content: str) -> str:
    """The text with what stands between `<!-- marker -->` and `<!-- /marker -->` replaced.

    Raises ResultError where the markers are missing.
    """
    start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ResultError(f"the text has no markers {start} and {end}.")
    return f"{before}{start}\n{content}\n{end}{after}"
