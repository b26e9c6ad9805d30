"""What each dialect can do: the table of operations and dialects, as data.

Every dialect does every operation, but for what its protocol cannot say. These exceptions are rows here,
each with its reason and with what happens instead: a refusal of some kind, or an answer that differs in
a way that is said. The tests of parity are generated from this table, exceptions included, and so is
``docs/parity.md``.
"""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple


class Dialect(NamedTuple):
    """One way to ask. ``title``: as documents call it; ``family``: the table it is shown in."""

    name: str
    title: str
    family: str


class Operation(NamedTuple):
    """One thing that can be asked for, and the part of the table it is shown in."""

    name: str
    title: str
    part: str


class Limit(NamedTuple):
    """What a protocol cannot say.

    ``kind``: of the refusal; ``None`` where there is an answer all the same, and ``why`` says which.
    """

    kind: str | None
    why: str


_PLAIN, _TF, _AWS, _OPENAI = (
    "REST, gRPC and the client",
    "TensorFlow Serving, KServe",
    "SageMaker",
    "OpenAI",
)

DIALECTS: tuple[Dialect, ...] = (
    Dialect("simple", "`/predict`", _PLAIN),
    Dialect("oip", "OIP, JSON", _PLAIN),
    Dialect("oip_binary", "OIP, binary", _PLAIN),
    Dialect("grpc", "OIP, gRPC", _PLAIN),
    Dialect("grpc_typed", "OIP, gRPC, typed contents", _PLAIN),
    Dialect("grpc_stream", "`ModelStreamInfer`", _PLAIN),
    Dialect("client", "`inferd.Client`", _PLAIN),
    Dialect("client_json", "`inferd.Client`, JSON", _PLAIN),
    Dialect("tfs_rows", "REST, rows", _TF),
    Dialect("tfs_columns", "REST, columns", _TF),
    Dialect("tfs_grpc", "gRPC", _TF),
    Dialect("kserve", "KServe V1", _TF),
    Dialect("sagemaker", "container, JSON", _AWS),
    Dialect("sagemaker_lines", "JSON Lines", _AWS),
    Dialect("sagemaker_csv", "CSV", _AWS),
    Dialect("sagemaker_npy", "npy", _AWS),
    Dialect("sagemaker_npz", "npz", _AWS),
    Dialect("sagemaker_runtime", "runtime API, JSON", _AWS),
    Dialect("embeddings", "embeddings", _OPENAI),
    Dialect("completions", "completions", _OPENAI),
    Dialect("chat", "chat", _OPENAI),
    Dialect("transcriptions", "transcriptions", _OPENAI),
)  # fmt: skip

DATATYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "fp16", "fp32",
    "fp64", "bytes",
)  # fmt: skip
PARTS = _VALUES, _SHAPES, _ASKED, _NAMES, _TOLD, _WRONG, _LOAD, _STREAM = (
    "Values", "Shapes", "Inputs and outputs", "Versions", "What is told", "Refusals", "Under load", "Pieces",
)  # fmt: skip

OPERATIONS: tuple[Operation, ...] = (
    *(Operation(name, name.upper(), _VALUES) for name in DATATYPES),
    Operation("wide_integers", "INT64 beyond 2^53", _VALUES),
    Operation("wide_unsigned", "UINT64 beyond 2^63", _VALUES),
    Operation("exact_singles", "FP32 exactly", _VALUES),
    Operation("exact_floats", "FP64 exactly", _VALUES),
    Operation("nan", "NaN", _VALUES),
    Operation("infinities", "infinities", _VALUES),
    Operation("texts", "texts of any script, empty ones", _VALUES),
    Operation("not_utf8", "bytes that are not UTF-8", _VALUES),
    Operation("zero_bytes", "bytes that end in zero", _VALUES),
    Operation("scalar", "a single value, not batched", _SHAPES),
    Operation("rank1", "one value for each example", _SHAPES),
    Operation("rank3", "tables for each example", _SHAPES),
    Operation("one_row", "a batch of one row of one value", _SHAPES),
    Operation("no_rows", "a batch of no rows", _SHAPES),
    Operation("empty_rows", "rows of no values", _SHAPES),
    Operation("large", "a megabyte", _SHAPES),
    Operation("several", "several inputs and outputs of any shape", _ASKED),
    Operation("columns", "several inputs and outputs of one value", _ASKED),
    Operation("optional", "an input that has a default left out", _ASKED),
    Operation("halves_given", "FP16 in answers", _ASKED),
    Operation("bytes_given", "bytes that are not UTF-8 in answers", _ASKED),
    Operation("one_output", "one of several outputs", _ASKED),
    Operation("version", "a version by its number", _NAMES),
    Operation("label", "a version by its label", _NAMES),
    Operation("metadata", "names, datatypes and shapes", _TOLD),
    Operation("ready", "whether a model is ready", _TOLD),
    Operation("request_id", "the request id echoed and logged", _TOLD),
    Operation("metrics", "requests and errors counted by model", _TOLD),
    Operation("not_ready", "a model that is not ready", _WRONG),
    Operation("unknown_model", "an unknown model", _WRONG),
    Operation("unknown_version", "an unknown version", _WRONG),
    Operation("missing_input", "a missing input", _WRONG),
    Operation("wrong_datatype", "a wrong datatype", _WRONG),
    Operation("wrong_shape", "a wrong shape", _WRONG),
    Operation("too_large", "a body over the limit", _WRONG),
    Operation("model_failure", "a model that fails", _WRONG),
    Operation("deadline", "a deadline that passes", _LOAD),
    Operation("overload", "a queue that is full", _LOAD),
    Operation("cancellation", "a client that goes away", _LOAD),
    Operation("whole", "a generated answer, whole", _STREAM),
    Operation("pieces", "a generated answer, piece by piece", _STREAM),
    Operation("early_failure", "a failure before the first piece", _STREAM),
    Operation("late_failure", "a failure after it", _STREAM),
    Operation("stop", "a client that stops reading", _STREAM),
)  # fmt: skip

EXPECTED: dict[str, str] = {
    "not_ready": "unavailable",
    "unknown_model": "not_found",
    "unknown_version": "not_found",
    "missing_input": "invalid_input",
    "wrong_datatype": "invalid_input",
    "wrong_shape": "invalid_input",
    "too_large": "too_large",
    "model_failure": "model_failed",
    "deadline": "deadline_exceeded",
    "overload": "overloaded",
    "early_failure": "model_failed",
    "late_failure": "model_failed",
}
"""Operations that are refused, and the kind of error they are refused with in every dialect."""

_TEXTS = "embeddings completions chat transcriptions"
_JSON = "simple oip client_json sagemaker sagemaker_lines sagemaker_runtime"
_FILES = "sagemaker_lines sagemaker_csv sagemaker_npy sagemaker_npz"
_CONTAINER = f"sagemaker {_FILES}"
_VALUED = " ".join(o.name for o in OPERATIONS if o.part in (_VALUES, _SHAPES, _ASKED))

_ROWS: tuple[tuple[str, str, str | None, str], ...] = (
    # What there is no form for.
    ("oip", "fp16", "invalid_input", "FP16 has no JSON form in this protocol"),
    ("client_json", "fp16 not_utf8", "unsupported", "has no JSON form in the protocol beneath"),
    ("grpc_typed", "fp16", "invalid_input", "FP16 has no typed field in this protocol"),
    ("oip", "not_utf8", "invalid_input", "strings of JSON are Unicode"),
    ("sagemaker_csv", "not_utf8", "invalid_input", "a table is text"),
    ("sagemaker_npy sagemaker_npz", "zero_bytes", None,
     "numpy's arrays of texts drop zeros at the end, before anything is sent"),
    (_JSON, "infinities", None, "read as bare tokens, written as `null`, which is NaN"),
    ("oip client_json", "halves_given bytes_given", "unsupported", "JSON cannot carry the answer"),
    ("sagemaker_csv", "bytes_given", "unsupported", "a table is text"),
    # Shapes.
    ("tfs_rows kserve", "scalar", "invalid_input", "a single value has no rows"),
    ("sagemaker_lines sagemaker_csv", "scalar", "unsupported_media", "a single value has no rows"),
    ("sagemaker_csv", "rank3 several", "unsupported_media", "a table holds one row for each example"),
    ("simple", "no_rows", None, "an empty list is one example of no values"),
    ("tfs_columns", "no_rows", None, "an empty list does not say how long its rows would be"),
    (f"tfs_rows kserve {_CONTAINER} sagemaker_runtime", "no_rows", "invalid_input",
     "at least one example is needed"),
    ("sagemaker_csv", "empty_rows", "invalid_input", "an empty line is no row"),
    # What is asked for, what is told.
    ("sagemaker_npy", "several columns one_output missing_input", "unsupported_media",
     "a file holds one array"),
    ("tfs_rows tfs_columns kserve sagemaker_lines sagemaker_csv sagemaker_npz", "one_output", None,
     "a request names no outputs: all are answered"),
    (_CONTAINER, "version label unknown_version", None,
     "a request names no version: the newest answers"),
    ("sagemaker_runtime", "label", None, "a variant that is no number is ignored: the newest answers"),
    (_CONTAINER, "metadata", "not_found", "tells only of models that its platform loaded"),
    ("sagemaker_runtime", "metadata", "invalid_input", "describes no models"),
    (_TEXTS, "metadata", None, "a model is described without its tensors"),
    (_CONTAINER + " sagemaker_runtime", "ready", None, "`/ping` speaks for the whole server"),
    (_TEXTS, "ready", None, "models are listed whether they are ready or not"),
    # Refusals.
    ("sagemaker_runtime", "unknown_model unknown_version too_large", "invalid_input",
     "the API has one error for all that is wrong with a request"),
    ("grpc grpc_typed grpc_stream tfs_grpc", "too_large", "overloaded",
     "gRPC's own limit, whose status is RESOURCE_EXHAUSTED"),
    # Pieces.
    ("tfs_rows tfs_columns tfs_grpc kserve", "pieces", None, "the protocol has whole answers only"),
    ("embeddings", "whole pieces early_failure late_failure stop", "invalid_input",
     "the API is one of vectors"),
)  # fmt: skip
"""Dialects, operations, and the ``Limit`` of each pair of them: its kind and why."""


def _limits() -> dict[tuple[str, str], Limit]:
    found: dict[tuple[str, str], Limit] = {}
    for dialect, task in (
        ("embeddings", "embed"),
        ("completions", "generate"),
        ("chat", "generate"),
        ("transcriptions", "transcribe"),
    ):
        why = f"the API is one of texts: it asks models of the task `{task}`"
        for operation in _VALUED.split():
            found[dialect, operation] = Limit("invalid_input", why)
    for dialects, operations, kind, why in _ROWS:
        for dialect in dialects.split():
            for operation in operations.split():
                found[dialect, operation] = Limit(kind, why)
    return found


LIMITS: dict[tuple[str, str], Limit] = _limits()
"""What a dialect cannot do, by (dialect, operation)."""


def limit(dialect: str, operation: str) -> Limit | None:
    """Return what keeps a dialect from an operation, ``None`` where nothing does."""
    return LIMITS.get((dialect, operation))


def markdown() -> str:
    """Return the table as Markdown; ``docs/parity.md`` holds exactly this text."""
    notes: dict[Limit, int] = {}
    families = dict.fromkeys(dialect.family for dialect in DIALECTS)
    lines = [line for family in families for line in _family(family, notes)]
    for note, number in notes.items():
        happens = "answered all the same" if note.kind is None else f"`{note.kind}`"
        lines.append(f"{number}. {happens}: {note.why}")
    return "\n".join(lines) + "\n"


def _family(family: str, notes: dict[Limit, int]) -> list[str]:
    """Return the lines of one table; ``notes`` numbers the limits, in the order they are met."""
    dialects = [dialect for dialect in DIALECTS if dialect.family == family]
    heads = " | ".join(dialect.title for dialect in dialects)
    lines = [f"### {family}", "", f"| | {heads} |", "|---" * (len(dialects) + 1) + "|"]

    def cells(operation: Operation) -> tuple[str, ...]:
        found = [limit(dialect.name, operation.name) for dialect in dialects]
        return tuple(
            "yes" if one is None else f"({notes.setdefault(one, len(notes) + 1)})" for one in found
        )

    for part in PARTS:
        lines.append(f"| **{part}** |" + " |" * len(dialects))
        rows = ((cells(o), _titled(o)) for o in OPERATIONS if o.part == part)
        # What is alike stands in one row.
        for row, alike in groupby(rows, key=lambda one: one[0]):
            titles = "; ".join(title for _, title in alike)
            lines.append(f"| {titles} | {' | '.join(row)} |")
    return [*lines, ""]


def _titled(operation: Operation) -> str:
    kind = EXPECTED.get(operation.name)
    return operation.title if kind is None else f"{operation.title}: `{kind}`"
