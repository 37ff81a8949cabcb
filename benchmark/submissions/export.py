"""From a method's policy, a Python function, to an ONNX file that does the same; held against it along whole episodes.

The policy is traced once, for one step of all test tasks and episodes. What came of it then acts in the simulator, and
the policy itself is asked the same at every step: one that keeps a history, counts, or draws random numbers answers
otherwise sooner or later, and cannot be exported.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.algorithm import Policy
from benchmark.errors import SubmissionError
from benchmark.rollouts import Act
from benchmark.submissions.graph import INPUT, OUTPUT

try:
    import onnxscript  # noqa: F401 - torch's exporter needs it
    from onnx import ModelProto
except ImportError as missing:
    raise SubmissionError(
        f"policies of submissions need more packages ({missing}): pip install -e '.[submissions]' -c constraints.txt"
    ) from missing

OPSET = 20
TOLERANCE = 1e-4
"""Largest difference of an action: single precision against double, in networks of usual depth."""


class NotExportable(SubmissionError):
    """A policy that cannot be an ONNX file; the message is the reason that the submission states."""


class _Step(torch.nn.Module):
    """One step of a policy, as the exporter wants it."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self._policy = policy

    def forward(self, observations: Tensor) -> Tensor:
        return self._policy(observations)


def to_onnx(policy: Policy, shape: Sequence[int], device: torch.device) -> bytes:
    """The policy as an ONNX file for observations of this shape (task, episode, observation).

    Raises NotExportable where it does something that ONNX does not have.
    """
    example = torch.zeros(tuple(shape), device=device)
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                _Step(policy), (example,), dynamo=True, opset_version=OPSET, verbose=False,
                input_names=[INPUT], output_names=[OUTPUT], external_data=False,
            )  # fmt: skip
        if program is None:
            raise NotExportable("the exporter gave nothing.")
        content: bytes = _bare(program.model_proto).SerializeToString()
    except NotExportable:
        raise
    except Exception as error:  # noqa: BLE001 - tracing runs someone else's code
        reason = (str(error).strip().splitlines() or [""])[0]
        raise NotExportable(f"the policy cannot be traced: {type(error).__name__}: {reason[:200]}") from error
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Within the block the exporter's own notes are not shown."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _bare(model: ModelProto) -> ModelProto:
    """The model without notes: traces of the stack name folders of whoever exported it."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    del graph.value_info[:]
    for node in graph.node:
        node.ClearField("name")
    return model


def held_against(original: Act, exported: Act) -> Act:
    """`exported`, asking `original` the same at every step; raises NotExportable where they answer otherwise."""
    step = 0

    def act(observations: NDArray[np.float32]) -> NDArray[np.floating]:
        nonlocal step
        step += 1
        actions = exported(observations)
        difference = float(np.abs(actions - original(observations)).max())
        if not difference <= TOLERANCE:
            raise NotExportable(
                f"the policy acts otherwise than its export (by {difference:.2g} at step {step} of an episode): it "
                "keeps a history or draws random numbers."
            )
        return actions

    return act
