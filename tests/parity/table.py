"""The doors by the names of their dialects."""

import contextlib

from tests.parity import client, openai, rpc, sagemaker, simple, tfs
from tests.parity.models import SAID
from tests.parity.wire import Refused

from inferd.api.dialects import EXPECTED, LIMITS

DOORS = {
    "simple": simple.Simple,
    "oip": simple.OIP,
    "oip_binary": simple.OIPBinary,
    "grpc": rpc.OIPGrpc,
    "grpc_typed": rpc.Typed,
    "grpc_stream": rpc.Stream,
    "client": client.Binary,
    "client_json": client.Json,
    "tfs_rows": tfs.Rows,
    "tfs_columns": tfs.Columns,
    "tfs_grpc": rpc.TFServing,
    "kserve": tfs.KServe,
    "sagemaker": sagemaker.Container,
    "sagemaker_lines": sagemaker.Lines,
    "sagemaker_csv": sagemaker.Table,
    "sagemaker_npy": sagemaker.Array,
    "sagemaker_npz": sagemaker.Arrays,
    "sagemaker_runtime": sagemaker.Runtime,
    "embeddings": openai.Embeddings,
    "completions": openai.Completions,
    "chat": openai.Chat,
    "transcriptions": openai.Transcriptions,
}


def cells(operations):
    """Return (dialect, operation) for each cell of some operations."""
    return [(dialect, operation) for operation in operations for dialect in DOORS]


@contextlib.contextmanager
def meets(dialect, *operations):
    """Expect of a block what the table says of its cell: success, or the refusal of a kind.

    Of several operations the first that has a limit counts. Gives the limit where there is an answer
    that differs, ``None`` where nothing is special.
    """
    limit = next((LIMITS[dialect, o] for o in operations if (dialect, o) in LIMITS), None)
    kind = limit.kind if limit else next((EXPECTED[o] for o in operations if o in EXPECTED), None)
    try:
        yield limit
    except Refused as error:
        refusal = error
    else:
        refusal = None
    if refusal is not None:
        assert kind is not None, f"refused: {refusal}"
        assert refusal.kind == kind, refusal
        assert kind != "model_failed" or SAID in refusal.text
        return
    assert kind is None, f"answered; a refusal was expected: {kind} ({limit.why if limit else ''})"
