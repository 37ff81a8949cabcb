"""What the graph of a submitted policy may hold, checked before anything of it runs.

A policy is a plain function of one tensor. Its shapes are fixed, so that the size of every intermediate tensor, and
how much there is to compute, are known beforehand; there are no loops, branches, functions, random numbers, operators
of others, or data in other files.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmark.errors import SubmissionError

try:
    import onnx
    from google.protobuf.message import DecodeError, EncodeError
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto
except ImportError as missing:
    raise SubmissionError(
        f"policies of submissions need more packages ({missing}): pip install -e '.[submissions]' -c constraints.txt"
    ) from missing

INPUT, OUTPUT = "observations", "actions"
OPERATORS = {
    "Abs", "Add", "And", "ArgMax", "ArgMin", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant",
    "ConstantOfShape", "Cos", "Div", "Elu", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "Gelu",
    "Gemm", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "LayerNormalization", "LeakyRelu",
    "Less", "LessOrEqual", "Log", "LogSoftmax", "MatMul", "Max", "Min", "Mish", "Mul", "Neg", "Not", "Or", "PRelu",
    "Pow", "RMSNormalization", "Reciprocal", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Selu", "Shape", "Sigmoid", "Sign", "Sin", "Slice",
    "Softmax", "Softplus", "Softsign", "Split", "Sqrt", "Squeeze", "Sub", "Swish", "Tanh", "Tile", "Transpose",
    "Unsqueeze", "Where",
}  # fmt: skip
"""Operators that compute element by element, or have a bound that follows from the shapes."""
OPSETS = range(13, 25)
MAXIMUM_NODES = 2000
MAXIMUM_ELEMENTS = 2**24
"""Of one tensor."""
MAXIMUM_TOTAL = 2**26
"""Elements of all tensors together."""
MAXIMUM_WORK = 2**32
"""Multiplications of one step of all lanes."""
TYPES: dict[int, int] = {
    TensorProto.FLOAT: 4,
    TensorProto.DOUBLE: 8,
    TensorProto.INT64: 8,
    TensorProto.INT32: 4,
    TensorProto.BOOL: 1,
}
"""Types of tensors there may be, and bytes per element."""


class GraphError(SubmissionError):
    """A policy's graph holds what it must not; the message says what, without saying in which file."""


def parse(content: bytes, where: Path) -> ModelProto:
    """The model in these bytes, with all shapes known; raises SubmissionError unless it is a harmless function."""
    try:
        model = onnx.load_model_from_string(content)
        _check_parts(model)
        del model.graph.value_info[:]  # what the file says of its own sizes is not believed
        onnx.checker.check_model(model)
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        _check_sizes(model.graph)
    except GraphError as error:
        raise SubmissionError(f"{where}: {error}") from error
    except (
        DecodeError, EncodeError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError,
        TypeError, KeyError, IndexError, RuntimeError,
    ) as error:  # fmt: skip
        reason = ascii(" ".join(str(error).split()))[:200]
        raise SubmissionError(f"{where} is no valid ONNX file ({type(error).__name__}: {reason}).") from error
    return model


def check_shapes(model: ModelProto, observations: Sequence[int], actions: Sequence[int], where: Path) -> None:
    """Raise SubmissionError unless it takes and gives one tensor of single precision of these shapes."""
    sides = (
        ("input", model.graph.input, INPUT, observations),
        ("output", model.graph.output, OUTPUT, actions),
    )
    for side, values, name, shape in sides:
        found = [(value.name, _shape(value), value.type.tensor_type.elem_type) for value in values]
        if found != [(name, tuple(shape), TensorProto.FLOAT)]:
            listed = ", ".join(f"{ascii(one[0])[:40]} {one[1]}" for one in found[:3])
            raise SubmissionError(
                f"{where} has the {side} {listed or 'none'}, but a policy has one {side}, '{name}', of single "
                f"precision and the fixed shape (task, episode, {name[:-1]}) = {tuple(shape)}."
            )


def tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """All constants of the graph, also those in attributes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_parts(model: ModelProto) -> None:
    """Raise GraphError for parts of a model that a policy does not have."""
    graph = model.graph
    others = [one.domain for one in model.opset_import if one.domain not in ("", "ai.onnx")]
    versions = [one.version for one in model.opset_import if one.domain in ("", "ai.onnx")]
    if others or len(versions) != 1 or versions[0] not in OPSETS:
        raise GraphError(
            f"it is of the operator sets {ascii([*others, *versions])[:80]}; the standard one is needed, in a version "
            f"from {OPSETS.start} to {OPSETS.stop - 1}."
        )
    if model.functions or model.training_info or graph.sparse_initializer or graph.quantization_annotation:
        raise GraphError(
            "it has functions, training information, sparse or quantised tensors; a policy has none."
        )
    if len(graph.node) > MAXIMUM_NODES:
        raise GraphError(f"it has {len(graph.node)} operations; a policy has {MAXIMUM_NODES} at the most.")
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            name = ascii(f"{node.domain}:{node.op_type}" if node.domain else node.op_type)[:80]
            raise GraphError(f"it has the operator {name}, which a policy may not have.")
        for attribute in node.attribute:
            _check_attribute(node, attribute)
    for tensor in tensors(graph):
        _check_tensor(tensor)


def _check_attribute(node: NodeProto, attribute: AttributeProto) -> None:
    """Raise GraphError unless the attribute is of numbers, or the one text that an operator needs."""
    plain = attribute.type in (
        AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.FLOATS, AttributeProto.INTS, AttributeProto.TENSOR,
    )  # fmt: skip
    kind_of_gelu = (node.op_type, attribute.name) == ("Gelu", "approximate")
    if attribute.ref_attr_name or not (plain or (kind_of_gelu and attribute.type == AttributeProto.STRING)):
        name = ascii(attribute.name)[:80]
        raise GraphError(f"its operator {node.op_type} may not have the attribute {name}.")


def _check_tensor(tensor: TensorProto) -> None:
    """Raise GraphError for a constant in another file, too large, of another type, or not of its own size."""
    if tensor.external_data or tensor.data_location == TensorProto.EXTERNAL:
        raise GraphError("it keeps tensors in another file; a policy is one file.")
    if tensor.data_type not in TYPES:
        raise GraphError(
            f"it has a tensor of type {tensor.data_type}; numbers of usual precision are needed."
        )
    if any(size < 0 for size in tensor.dims) or math.prod(tensor.dims) > MAXIMUM_ELEMENTS:
        raise GraphError(f"it has a tensor of shape {tuple(tensor.dims)[:8]}; that is too large.")
    if tensor.raw_data and len(tensor.raw_data) != math.prod(tensor.dims) * TYPES[tensor.data_type]:
        raise GraphError("it has a tensor whose data are not as long as its shape says.")
    values = onnx.numpy_helper.to_array(tensor)
    if values.dtype.kind == "f" and not abs(values).max(initial=0) < math.inf:
        raise GraphError("it has a weight that is not finite.")


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    """The fixed shape; None where a size is open, or it is no tensor."""
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_value for dim in dims) if all(dim.HasField("dim_value") for dim in dims) else None


def _check_sizes(graph: GraphProto) -> None:
    """Raise GraphError where a tensor's size is open or too large, or there is too much to compute."""
    values = (*graph.input, *graph.value_info, *graph.output)
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    shapes = {value.name: _shape(value) for value in values}
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    total, work = 0, 0
    for node in graph.node:
        for name in filter(None, node.output):
            shape = shapes.get(name)
            if shape is None:
                raise GraphError(
                    f"the size of what its operator {node.op_type} gives is not known before it runs."
                )
            if kinds.get(name, TensorProto.FLOAT) not in TYPES:
                raise GraphError(
                    f"its operator {node.op_type} gives something that is no number of usual precision."
                )
            elements = math.prod(shape)
            total += elements
            work += elements * (_inner(node, shapes) if node.op_type in ("MatMul", "Gemm") else 1)
            if elements > MAXIMUM_ELEMENTS or total > MAXIMUM_TOTAL or work > MAXIMUM_WORK:
                raise GraphError(
                    f"its operator {node.op_type} gives a tensor, or has work to do, that is too large."
                )


def _inner(node: NodeProto, shapes: Mapping[str, tuple[int, ...] | None]) -> int:
    """No less than the length of the sums in a matrix product."""
    return max((size for name in node.input for size in shapes.get(name) or ()), default=1)
