"""One planned run in a worker, and what workers need before they begin."""

from functools import cache, partial
from pathlib import Path

from benchmark import families
from benchmark.data import cache as flat_cache
from benchmark.data import catalog
from benchmark.data.dataset import Dataset
from benchmark.data.exchange.intake import imported_opener
from benchmark.data.open import open_dataset
from benchmark.locks import claimed
from benchmark.protocol import OpenData
from benchmark.run_config import RunConfig
from benchmark.sweep.plan import PlannedRun
from benchmark.training import Run
from benchmark.workers import AskedToStop, Job

PATIENCE = 30.0
"""Seconds for which a run that is begun again waits for the end of its process before, and of that one's lock."""
RECORDING_PATIENCE = 7200.0
"""Seconds for which a worker waits while another one on its machine records the same data."""
RETRIES = 3
"""How often a run is begun again whose worker was killed."""


def job(run: PlannedRun) -> Job:
    """The run as something a worker can do."""
    gpus = int(run.config.device.startswith("cuda"))
    return Job(run.name, partial(work, run.config, run.folder.resolve(), run.data), RETRIES, gpus)


def work(config: RunConfig, folder: Path, data: str | None, asked_to_stop: AskedToStop) -> None:
    """Begin the run, or go on with it, to its end; exactly what `python -m benchmark run --resume` does."""
    open_data = opener(config, data)
    with claimed(folder, PATIENCE):
        run = Run(config, folder, open_data)
        run.prepare(resume=True)
        run.train(asked_to_stop=asked_to_stop)


def opener(config: RunConfig, data: str | None) -> OpenData:
    """Gives the data sets of a run by tier; `data` is the identity of imported ones, or None."""
    if data:
        return imported_opener(families.family(config.family), data, config.size)
    return partial(_opened, config.family, config.size)


@cache
def _opened(family: str, size: str, tier: str) -> Dataset:
    """The data set; where this machine does not have it, one of its workers records it and the others wait."""
    expected = catalog.expected_hash(families.family(family), tier, size)
    if flat_cache.present(expected):
        return open_dataset(family, tier, size)
    with claimed(flat_cache.root() / f".recording-{family}-{tier}-{size}", RECORDING_PATIENCE):
        return open_dataset(family, tier, size)
