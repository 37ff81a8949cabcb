"""The command line. Parsing only: what a verb does is imported when it is called, so that --help is immediate."""

import argparse
import importlib
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from benchmark.errors import BenchmarkError

if TYPE_CHECKING:
    Verbs: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """\
examples:
  python -m benchmark run --algo macaw                        meta-train and meta-test on cheetah-dir, minutes
  python -m benchmark run --algo macaw --family cheetah-vel --seeds 0 1 2
  python -m benchmark run --algo my_method.py:MyMethod        your own method, see README.md
  python -m benchmark run --algo macaw --set advantage_head=false --out runs/no-head
  python -m benchmark sweep experiments/figure-3.toml         many runs at once; skips and resumes what there is
  python -m benchmark leaderboard                             the table of all committed results
  python -m benchmark compare macaw multitask-awr             is one better, or are there too few seeds to tell?
"""


class DefaultsWhereThereAreAny(argparse.ArgumentDefaultsHelpFormatter):
    """Help that says an option's default, but for switches and options that have none."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False or action.default == []:
            return action.help
        return super()._get_help_string(action)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 2 for a mistake in the input, 128 + n for a signal."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    module, _, function = options.command.rpartition(".")
    commands = importlib.import_module(f"benchmark.{module}")
    try:
        getattr(commands, function)(options)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        if hasattr(error, "exit_code") and not getattr(options, "resume", True):
            print(f"python -m benchmark {shlex.join(arguments)} --resume", file=sys.stderr)
        return int(getattr(error, "exit_code", 2))
    except KeyboardInterrupt:
        print("stopped by SIGINT", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except OSError as error:  # a folder nobody may enter, a name too long, a disk that fails
        print(f"error: {error}. Choose another place, or mend this one.", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark",
        description="The benchmark of offline meta-reinforcement learning.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _add_run(verbs)
    _add_sweep(verbs)
    _verb(verbs, "families", "list the task families and their splits", "commands.families")
    _verb(verbs, "algorithms", "list the built-in algorithms and their settings", "commands.algorithms")
    _add_check(verbs)
    _add_data(verbs)
    _add_leaderboard(verbs)
    _add_figures(verbs)
    _add_compare(verbs)
    level_off = _verb(
        verbs,
        "level-off",
        "say how many steps runs needed (on the split tuning)",
        "commands_results.level_off",
    )
    level_off.add_argument(
        "runs", nargs="+", metavar="RUNS", help="folders of runs; seeds of one are averaged"
    )
    _add_submissions(verbs)
    return parser


def _verb(verbs: "Verbs", name: str, text: str, command: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text, formatter_class=DefaultsWhereThereAreAny)
    parser.set_defaults(command=command)
    return parser


def _add_run(verbs: "Verbs") -> None:
    run = _verb(verbs, "run", "meta-train an algorithm, meta-test it, write result rows", "commands.run")
    run.add_argument("--algo", default="macaw", help="built-in name, module:Class, or path/to/file.py:Class")
    run.add_argument("--family", default="cheetah-dir", help="task family")
    run.add_argument("--split", default="standard", help="train and test tasks")
    run.add_argument("--tier", default="mixed", help="data to meta-train on: mixed, expert, medium, random")
    run.add_argument("--size", default="small", help="size of the data sets: small, full")
    run.add_argument("--data", metavar="ID", help="imported data instead of the standard's, see data import")
    run.add_argument("--seeds", nargs="+", default=["0"], help="seed numbers, one run each")
    run.add_argument("--steps", type=int, help="meta-training steps (default: the family's)")
    run.add_argument("--device", default="cpu", help="torch device")
    run.add_argument("--threads", type=int, help="torch threads (default: all cores)")
    run.add_argument(
        "--evaluate-every", type=int, default=500, help="steps between evaluations and checkpoints"
    )
    run.add_argument(
        "--contexts", nargs="+", metavar="SOURCE[:SIZE]",
        help="contexts to test with: mixed, expert, medium, random, early, middle, late, other, online; "
        "size in transitions, 256 if not given (default: the protocol's)",
    )  # fmt: skip
    run.add_argument(
        "--protocol", default="standard",
        help="standard, or online-finetune: at the end the method goes on learning in each test task",
    )  # fmt: skip
    run.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="algorithm settings"
    )
    run.add_argument("--resume", action="store_true", help="go on with the run that lies in the folder")
    run.add_argument("--out", default="runs", help="runs go to OUT/<family>/<algorithm>/seed-<k>")


def _add_sweep(verbs: "Verbs") -> None:
    sweep = _verb(
        verbs, "sweep", "do all runs of an experiment file that are not finished", "commands_sweep.sweep"
    )
    sweep.add_argument(
        "file", metavar="FILE.toml", help="which runs, as in experiments/; one torch thread each"
    )
    sweep.add_argument("--out", help="runs go to OUT/... (default: runs/<name of the file>)")
    sweep.add_argument("--list", action="store_true", help="only say which are finished, unfinished, missing")
    _add_workers(sweep, "--workers", "runs at once, a process each (default: one per core)")


def _add_workers(parser: argparse.ArgumentParser, option: str, text: str) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument(option, type=int, metavar="N", help=text)
    where.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="on the Ray cluster at host:port, whose nodes share OUT; local starts one",
    )


def _add_check(verbs: "Verbs") -> None:
    check = _verb(
        verbs, "check", "hold a method against the contract, in seconds, on made-up data", "commands.check"
    )
    check.add_argument("algo", help="built-in name, module:Class, or path/to/file.py:Class")
    check.add_argument("--family", default="cheetah-vel", help="family whose shapes the data have")
    check.add_argument(
        "--steps", type=int, default=60, help="updates within which the loss on a fixed batch must fall"
    )
    check.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="algorithm settings"
    )


def _add_data(verbs: "Verbs") -> None:
    data = verbs.add_parser(
        "data", help="list, collect, record, verify, import, export: the offline data sets"
    )
    actions = data.add_subparsers(metavar="ACTION", required=True)
    _verb(actions, "list", "list the data sets and which are recorded here", "commands_data.list_sets")
    collect = _verb(
        actions,
        "collect",
        "train the behaviour policies of a family anew (hours; resumes)",
        "commands_data.collect",
    )
    collect.add_argument("--family", required=True, help="task family")
    recipe = collect.add_mutually_exclusive_group()
    recipe.add_argument("--recipe", help="TOML file (default: datasets/recipes/<family>.toml)")
    recipe.add_argument(
        "--long",
        action="store_true",
        help="by recipes/long/: a few tasks to the end, to hold the experts against",
    )
    _add_workers(collect, "--processes", "shares trained at once (default: one per core)")
    collect.add_argument(
        "--out", default="collect", help="checkpoints, logs and snapshots go to OUT/<family>"
    )
    record = _verb(
        actions, "record", "record a data set from the shipped behaviour policies", "commands_data.record"
    )
    record.add_argument("--family", default="cheetah-dir", help="task family")
    record.add_argument("--tier", default="mixed", help="mixed, expert, medium, random")
    record.add_argument("--size", default="small", help="small, full")
    verify = _verb(
        actions, "verify", "check hashes of snapshots, recorded data sets and caches", "commands_data.verify"
    )
    verify.add_argument("--family", help="task family (default: cheetah-dir)")
    verify.add_argument("--tier", help="mixed, expert, medium, random (default: mixed)")
    verify.add_argument("--size", help="small, full (default: small)")
    verify.add_argument("--all", action="store_true", help="verify all that is recorded here")
    _add_standard(actions)
    _add_exchange(actions)


def _add_standard(actions: "Verbs") -> None:
    card = _verb(
        actions, "card", "write the data card of a family: datasets/cards/<family>.md", "commands_data.card"
    )
    card.add_argument("--family", default="cheetah-dir", help="task family")
    catalog = _verb(
        actions,
        "catalog",
        "measure references and hashes into datasets/catalog.toml",
        "commands_data.catalog",
    )
    catalog.add_argument("--family", required=True, help="task family")
    catalog.add_argument("--sizes", nargs="+", default=["small", "full"], help="sizes to record and hash")
    catalog.add_argument(
        "--hashes-only",
        action="store_true",
        help="add the hashes that the entry lacks; all else stays as it is",
    )


def _add_exchange(actions: "Verbs") -> None:
    taken = _verb(actions, "import", "take in data of another project's format", "commands_data.import_data")
    taken.add_argument("--from", dest="origin", required=True, choices=("macaw", "d4rl"), help="their format")
    relabel = _verb(
        actions, "relabel", "make Minari data of a known body into a family's data", "commands_data.relabel"
    )
    relabel.add_argument("--from", dest="origin", required=True, metavar="ID", help="Minari data set")
    for parser in (taken, relabel):
        parser.add_argument("--family", required=True, help="task family they become data of")
        parser.add_argument("--name", required=True, help="they are stored as imported/FAMILY/NAME-v0")
        parser.add_argument(
            "--tasks",
            type=int,
            nargs="+",
            help="task numbers (default: all); importing: one per file, after PATH (default: as the files say)",
        )
    relabel.add_argument(
        "--transitions",
        type=int,
        default=20_000,
        help="about so many per task: to the nearest whole episode, or piece of one as long as the horizon",
    )
    taken.add_argument("paths", nargs="+", metavar="PATH", help="one file per task; of macaw, pickles too")
    export = _verb(actions, "export", "write one task's data as a D4RL file", "commands_data.export")
    export.add_argument("--family", required=True, help="task family")
    export.add_argument("--task", type=int, required=True, help="task number")
    export.add_argument("--tier", default="mixed", help="mixed, expert, medium, random")
    export.add_argument("--size", default="small", help="small, full")
    export.add_argument("--to", required=True, metavar="FILE.hdf5", help="the file, which must not exist yet")


def _add_leaderboard(verbs: "Verbs") -> None:
    board = _verb(
        verbs,
        "leaderboard",
        "aggregate the result rows into leaderboard/leaderboard.csv, print it",
        "commands_results.leaderboard",
    )
    board.add_argument(
        "--add", nargs="+", default=[], metavar="RUN", help="first add the rows of these finished runs"
    )
    board.add_argument("--folder", default=None, help="the leaderboard folder (default: the project's)")
    _add_site(board)


def _add_site(board: argparse.ArgumentParser) -> None:
    site = _verb(
        board.add_subparsers(metavar="site"),
        "site",
        "write the leaderboard as a web page, one HTML file",
        "commands_results.site",
    )
    site.add_argument("--folder", default=argparse.SUPPRESS, help="the leaderboard folder")
    site.add_argument("--out", metavar="FILE", help="the page (default: site/index.html in that folder)")


def _add_figures(verbs: "Verbs") -> None:
    figures = _verb(
        verbs,
        "figures",
        "draw all figures of the leaderboard anew, as CSV, SVG and PNG",
        "commands_results.figures",
    )
    figures.add_argument("--folder", default=None, help="the leaderboard folder (default: the project's)")


def _add_compare(verbs: "Verbs") -> None:
    compare = _verb(
        verbs,
        "compare",
        "compare two results of the leaderboard, with intervals over seeds",
        "commands_results.compare",
    )
    compare.add_argument(
        "first", metavar="A", help="algorithm, or algorithm:steps=5000:settings=advantage_head=False"
    )
    compare.add_argument("second", metavar="B", help="the result to compare it with, named likewise")
    compare.add_argument("--family", help="task family (default: all that both were run on)")
    compare.add_argument("--split", default="standard", help="train and test tasks")
    compare.add_argument(
        "--context", default="mixed", metavar="SOURCE[:SIZE]", help="context they were tested with"
    )
    compare.add_argument("--folder", default=None, help="the leaderboard folder (default: the project's)")


def _add_submissions(verbs: "Verbs") -> None:
    submit = _verb(
        verbs,
        "submit",
        "make a submission of finished runs: rows, configurations, policies",
        "commands_submissions.submit",
    )
    submit.add_argument("runs", nargs="+", metavar="RUN", help="folders of finished runs, one per seed")
    submit.add_argument("--name", required=True, help="the submission goes to FOLDER/submissions/NAME")
    submit.add_argument("--authors", required=True, help="who made the method")
    submit.add_argument("--url", required=True, help="where the method can be found")
    submit.add_argument("--folder", default=None, help="the leaderboard folder (default: the project's)")
    verify = _verb(
        verbs,
        "verify",
        "check a submission, and measure its policies anew",
        "commands_submissions.verify",
    )
    verify.add_argument("submission", metavar="SUBMISSION", help="leaderboard/submissions/NAME")
    verify.add_argument(
        "--rerun", action="store_true", help="meta-train again instead (built-in methods; hours; resumes)"
    )
    verify.add_argument("--out", default="rerun", help="the runs of --rerun go to OUT/NAME/seed-<k>")
