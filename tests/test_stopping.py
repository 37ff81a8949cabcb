"""A run that is asked to stop ends where it is, goes on as if it had not, and its time is counted."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark import evaluation, training
from benchmark.interruption import Interrupted
from benchmark.protocol import ContextChoice
from benchmark.training import Run
from tests.test_training import CONFIG, Open, assert_same, start

TESTED = replace(CONFIG, contexts=tuple(ContextChoice("mixed", size) for size in (256, 64, 128)))


def test_a_run_stops_between_two_tests(
    tmp_path: Path, tiny_data: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = start(tmp_path / "whole", tiny_data, TESTED)
    whole.train()
    tested: list[ContextChoice] = []
    evaluate = evaluation.Evaluator.evaluate

    def counted(*arguments: object) -> evaluation.Evaluation:
        found = evaluate(*arguments)  # type: ignore[arg-type]
        tested.append(found.choice)
        return found

    monkeypatch.setattr(evaluation.Evaluator, "evaluate", counted)
    run = start(tmp_path / "stopped", tiny_data, TESTED)
    with pytest.raises(Interrupted, match=r"stopped by SIGTERM at step 20; .* holds its checkpoint"):
        run.train(asked_to_stop=lambda: TESTED.contexts[1] in tested)
    assert TESTED.contexts[2] not in tested
    assert not (run.folder / "result.csv").exists()
    resumed = start(tmp_path / "stopped", tiny_data, TESTED, resume=True)
    resumed.train()
    assert_same(whole, resumed)


def test_the_time_before_a_stop_counts(
    tmp_path: Path, tiny_data: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, step = [0.0], Run._one_step

    def a_second_long(run: Run) -> None:
        now[0] += 1.0
        step(run)

    monkeypatch.setattr(training.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(Run, "_one_step", a_second_long)
    for stop in (7, 13):
        run = start(tmp_path, tiny_data, resume=stop > 7)
        with pytest.raises(Interrupted):
            run.train(asked_to_stop=lambda run=run, stop=stop: run.step == stop)
        now[0] += 1000.0  # nobody trains
    start(tmp_path, tiny_data, resume=True).train()
    assert pd.read_csv(tmp_path / "timing.csv")["seconds"].tolist() == [10.0, 20.0]
