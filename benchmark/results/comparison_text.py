"""A comparison in words and numbers, for a terminal of 80 columns."""

import math
import textwrap

from benchmark.results.comparison import Comparison, Difference, Interval, Line
from benchmark.results.curves import LAST_TESTS
from benchmark.results.intervals import MINIMUM_SEEDS

WIDTH = 80


def printed_comparison(first: str, second: str, comparison: Comparison) -> str:
    """The comparison of the results of these names: a block per family, then their mean."""
    conditions = ", ".join(f"{name} {value}" for name, value in comparison.shared)
    note = "Scores: 0 is random, 100 the task's expert. In brackets: 95 % intervals over seeds."
    lines = [*comparison.families, *([comparison.over_families] if comparison.over_families else [])]
    return "\n\n".join(
        [
            "\n".join(map(_wrapped, (f"{first} against {second}", conditions, note))),
            *(_block(first, second, line) for line in lines),
        ]
    )


def verdict_text(first: str, second: str, line: Line) -> str:
    """The verdict by the interquartile mean in a plain sentence, and the mean's where that is another."""
    seeds = f"{line.seeds[0]} and {line.seeds[1]} seeds"
    verdict, other = line.interquartile_mean.verdict, line.mean.verdict
    if verdict == "too few seeds":
        needed = f"at least {MINIMUM_SEEDS} of each are needed"
        return f"No interval, and nothing can be told: there are {seeds}, and {needed}."
    if verdict == "undecided":
        text = f"These {seeds} do not suffice to tell which is better"
    else:
        text = f"{first} is {verdict} than {second}"
    if other == verdict:
        return f"{text}."
    exception = "these seeds do not suffice" if other == "undecided" else f"{first} is {other}"
    return f"{text} by the interquartile mean; by the mean {exception}."


def _block(first: str, second: str, line: Line) -> str:
    tasks = "1 test task" if line.tasks == 1 else f"{line.tasks} test tasks"
    steps = f", {line.steps[0]} and {line.steps[1]} steps" if line.steps else ""
    least = "" if line.steps else "at least "
    last = [_difference(f"mean, last {LAST_TESTS} tests", line.last_tests)] if line.last_tests else []
    return "\n".join(
        [
            _wrapped(f"{line.name}: {tasks}, {least}{line.seeds[0]} and {line.seeds[1]} seeds{steps}"),
            _difference("interquartile mean", line.interquartile_mean),
            _difference("mean", line.mean),
            *last,
            f"  {'probability of improvement':<42}{line.improvement.value:10.2f}{_ends(line.improvement, '.2f')}",
            _wrapped(f"  {verdict_text(first, second, line)}"),
        ]
    )


def _difference(name: str, found: Difference) -> str:
    values = f"{float(found.first.value):6.1f} against {float(found.second.value):6.1f}"
    return f"  {name:<20}{values}{'':2}{found.interval.value:+10.1f}{_ends(found.interval, '+.1f')}"


def _ends(interval: Interval, form: str) -> str:
    return "" if math.isnan(interval.low) else f" [{interval.low:{form}}, {interval.high:{form}}]"


def _wrapped(text: str) -> str:
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )
