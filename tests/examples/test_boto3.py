"""The unmodified boto3 client of SageMaker's runtime against a real server, by ``endpoint_url``."""

from __future__ import annotations

import gc
import io
import json
import re
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.system import models
from tests.system.serving import serving, until

boto3 = pytest.importorskip("boto3")
botocore = pytest.importorskip("botocore.config")

FAILS = """
from typing import Annotated
import numpy as np
from inferd import Model

class Fails(Model):
    def predict(
        self, x: Annotated[np.ndarray, "float32", (-1, 2)]
    ) -> Annotated[np.ndarray, "float32", (-1,)]:
        if (x < 0).any():
            raise ValueError("negative")
        return x.sum(1)
"""

COUNTS = '''
import time
from pathlib import Path
from collections.abc import Iterator
from pathlib import Path
from inferd import Model

class Counts(Model):
    """Counts words, slowly, and writes down how far it came."""

    def load(self, path):
        self.note = Path(path) / "note" if Path(path).is_dir() else Path(path).parent / "note"

    def predict(self, text: str) -> Iterator[str]:
        given = 0
        try:
            for number in range(100 if text == "slow" else 3):
                if text == "broken" and number == 2:
                    raise ValueError("it broke")
                time.sleep(0.02)
                given += 1
                yield f"{number} "
        finally:
            self.note.write_text(str(given))
'''

SCRIPT = """
def model_fn(model_dir):
    return None

def input_fn(body, content_type):
    return content_type.encode() + b":" + body

def predict_fn(data, model):
    return data[::-1]

def output_fn(prediction, accept):
    return prediction, "application/x-backwards"
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("boto3") / "models"
    for path, text in {
        "fails/1/fails.py": FAILS,
        "counts/1/counts.py": COUNTS,
        "script/1/code/inference.py": SCRIPT,
    }.items():
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text(text)
    (root / "affine" / "2").mkdir(parents=True)
    models.affine(root / "affine" / "2" / "affine.onnx", plus=2.0)
    return root


@pytest.fixture(scope="module")
def server(repository):
    with serving(repository.parent / "server", repository, traces=True) as server:
        yield server


@pytest.fixture(scope="module")
def runtime(server):
    host, port = server.data
    client = boto3.client(
        "sagemaker-runtime", endpoint_url=f"http://{host}:{port}", region_name="eu-west-1",
        aws_access_key_id="none", aws_secret_access_key="none",
        config=botocore.Config(retries={"max_attempts": 0}),
    )  # fmt: skip
    yield client
    client.close()


@pytest.fixture(autouse=True)
def _nothing_is_left_to_later_tests():
    """botocore leaves the sockets of streams, closed or not, to the collector: have it come now."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def body_of(answer):
    return answer["Body"].read()


def test_json_is_answered_in_kind(runtime):
    answer = runtime.invoke_endpoint(
        EndpointName="affine", Body=json.dumps({"instances": [[1, 2, 3, 4], [0, 0, 0, 0]]}),
        ContentType="application/json",
    )  # fmt: skip

    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["ResponseMetadata"]["RequestId"]
    assert json.loads(body_of(answer)) == {"predictions": [[4, 6, 8, 10], [2, 2, 2, 2]]}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ([[1, 2, 3, 4]], [[4, 6, 8, 10]]),
        ([1, 2, 3, 4], [4, 6, 8, 10]),
        ({"inputs": [[1, 2, 3, 4]]}, {"predictions": [[4, 6, 8, 10]]}),
        ({"data": [1, 2, 3, 4]}, {"result": [4, 6, 8, 10]}),
        ({"instances": [{"features": [1, 2, 3, 4]}]}, {"predictions": [[4, 6, 8, 10]]}),
    ],
    ids=["bare", "one", "inputs", "data", "features"],
)
def test_every_form_of_json(runtime, body, wanted):
    answer = runtime.invoke_endpoint(EndpointName="affine", Body=json.dumps(body))

    assert json.loads(body_of(answer)) == wanted


def test_tables(runtime):
    answer = runtime.invoke_endpoint(
        EndpointName="affine",
        Body="1,2,3,4\n0.5,0,0,0\n",
        ContentType="text/csv",
        Accept="text/csv",
    )

    assert answer["ContentType"] == "text/csv"
    assert body_of(answer) == b"4.0,6.0,8.0,10.0\n3.0,2.0,2.0,2.0\n"


def test_arrays(runtime):
    sent = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    out = io.BytesIO()
    np.save(out, sent)

    answer = runtime.invoke_endpoint(
        EndpointName="affine", Body=out.getvalue(), ContentType="application/x-npy",
        Accept="application/x-npy",
    )  # fmt: skip

    np.testing.assert_array_equal(np.load(io.BytesIO(body_of(answer))), 2 * sent + 2)


def test_arrays_by_name(runtime):
    out = io.BytesIO()
    np.savez_compressed(out, x=np.ones((3, 4)))

    answer = runtime.invoke_endpoint(
        EndpointName="affine", Body=out.getvalue(), ContentType="application/x-npz",
        Accept="application/x-npz;q=0.9, application/json;q=0.1",
    )  # fmt: skip

    with np.load(io.BytesIO(body_of(answer))) as arrays:
        assert arrays["y"].tolist() == [[4] * 4] * 3


def test_json_lines(runtime):
    answer = runtime.invoke_endpoint(
        EndpointName="affine", Body=b'[1,2,3,4]\n{"features":[0,0,0,0]}\n',
        ContentType="application/jsonlines",
    )  # fmt: skip

    assert answer["ContentType"] == "application/jsonlines"
    assert body_of(answer) == b"[4.0,6.0,8.0,10.0]\n[2.0,2.0,2.0,2.0]\n"


def test_bytes_go_through_a_script_as_they_are(runtime):
    answer = runtime.invoke_endpoint(
        EndpointName="script", Body=b"\x00\xff\x01", ContentType="application/x-own; v=1"
    )

    assert answer["ContentType"] == "application/x-backwards"
    assert body_of(answer) == (b"application/x-own; v=1:\x00\xff\x01")[::-1]


def test_a_large_table_and_a_large_answer(runtime):
    rows = 60_000
    answer = runtime.invoke_endpoint(
        EndpointName="affine", Body="1,2,3,4\n" * rows, ContentType="text/csv", Accept="text/csv"
    )

    assert body_of(answer) == b"4.0,6.0,8.0,10.0\n" * rows


def test_what_the_headers_of_the_api_say(runtime):
    body = json.dumps([1, 2, 3, 4])

    first = runtime.invoke_endpoint(
        EndpointName="anything", TargetModel="affine.tar.gz", TargetVariant="2", Body=body,
        CustomAttributes="trace=7", InferenceId="42", TargetContainerHostname="here",
        EnableExplanations="`false`",
    )  # fmt: skip
    second = runtime.invoke_endpoint(
        EndpointName="anything", InferenceComponentName="affine", TargetVariant="blue", Body=body
    )

    assert json.loads(body_of(first)) == [4, 6, 8, 10]
    assert first["InvokedProductionVariant"] == "2"
    assert first["CustomAttributes"] == "trace=7"
    assert json.loads(body_of(second)) == [4, 6, 8, 10]
    assert second["InvokedProductionVariant"] == "blue"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"EndpointName": "nobody", "Body": "[1]"}, "no model named 'nobody'"),
        ({"EndpointName": "affine", "Body": "[1]"}, "must have shape"),
        ({"EndpointName": "affine", "Body": "{"}, "not valid JSON"),
        (
            {"EndpointName": "affine", "Body": "", "ContentType": "application/x-own"},
            "does not take",
        ),
        (
            {"EndpointName": "affine", "Body": "[[1,2,3,4]]", "Accept": "image/png"},
            "does not answer",
        ),
        ({"EndpointName": "affine", "Body": "[1]", "SessionId": "NEW_SESSION"}, "not enabled"),
        ({"EndpointName": "affine", "Body": "[1]", "TargetVariant": "9"}, "no version '9'"),
    ],
    ids=["model", "shape", "json", "type", "accept", "session", "version"],
)
def test_a_wrong_request_is_a_validation_error(runtime, call, says):
    with pytest.raises(runtime.exceptions.ValidationError) as caught:
        runtime.invoke_endpoint(**call)

    assert says in caught.value.response["Error"]["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_model_that_fails_is_a_model_error(runtime):
    good = runtime.invoke_endpoint(EndpointName="fails", Body="[[1,2]]")
    with pytest.raises(runtime.exceptions.ModelError) as caught:
        runtime.invoke_endpoint(EndpointName="fails", Body="[[1,-2]]")

    told = caught.value.response
    assert json.loads(body_of(good)) == [3]
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert told["OriginalStatusCode"] == 500
    assert "ValueError: negative" in told["OriginalMessage"]


def test_what_is_too_large_is_a_validation_error(runtime):
    with pytest.raises(runtime.exceptions.ValidationError) as caught:
        runtime.invoke_endpoint(EndpointName="affine", Body=b" " * (9 << 20))

    assert "longer than 8388608 bytes" in caught.value.response["Error"]["Message"]


def test_answering_later_is_refused(runtime):
    with pytest.raises(runtime.exceptions.ValidationError, match="not offered"):
        runtime.invoke_endpoint_async(EndpointName="affine", InputLocation="s3://a/b")


def events(answer):
    return [event["PayloadPart"]["Bytes"] for event in answer["Body"]]


def test_a_model_that_streams_is_answered_in_pieces(runtime):
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName="counts", Body=json.dumps({"inputs": "go"}), CustomAttributes="a=b"
    )

    assert answer["ContentType"] == "application/jsonlines"
    assert answer["CustomAttributes"] == "a=b"
    assert events(answer) == [b'"0 "\n', b'"1 "\n', b'"2 "\n']


@pytest.mark.parametrize(
    ("accept", "first"),
    [("text/plain", b"0 "), ("text/event-stream", b'data: "0 "\n\n'), ("application/json", None)],
    ids=["text", "events", "json"],
)
def test_the_pieces_have_the_type_asked_for(runtime, accept, first):
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName="counts", Body=json.dumps({"inputs": "go"}), Accept=accept
    )
    found = events(answer)

    assert answer["ContentType"] == accept
    assert found[0] == first if first else found == [b'{"predictions":"0 1 2 "}']


def test_a_model_that_does_not_stream_is_answered_in_parts(runtime):
    rows = 40_000
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName="affine", Body="1,2,3,4\n" * rows, ContentType="text/csv", Accept="text/csv"
    )
    found = events(answer)

    assert answer["ContentType"] == "text/csv"
    assert b"".join(found) == b"4.0,6.0,8.0,10.0\n" * rows


def test_a_stream_that_breaks_ends_in_an_exception(runtime):
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName="counts", Body=json.dumps({"inputs": "broken"})
    )
    found = []

    with pytest.raises(Exception, match="ModelStreamError.*it broke"):
        for event in answer["Body"]:
            found.append(event["PayloadPart"]["Bytes"])
    assert found == [b'"0 "\n', b'"1 "\n']


def test_errors_before_the_first_piece_are_ordinary(runtime):
    with pytest.raises(runtime.exceptions.ValidationError):
        runtime.invoke_endpoint_with_response_stream(EndpointName="nobody", Body="[1]")


def test_whoever_stops_reading_stops_the_model(runtime, repository):
    note = repository / "counts" / "1" / "note"
    note.unlink(missing_ok=True)
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName="counts", Body=json.dumps({"inputs": "slow"})
    )

    next(iter(answer["Body"]))
    answer["Body"].close()
    begin = time.monotonic()
    until(note.exists, 5)

    assert time.monotonic() - begin < 2
    assert int(note.read_text() or 0) < 20


def test_a_whole_answer_of_a_model_that_streams(runtime):
    answer = runtime.invoke_endpoint(EndpointName="counts", Body=json.dumps({"inputs": "go"}))

    assert json.loads(body_of(answer)) == {"predictions": "0 1 2 "}


# ---------------------------------------------------------------------------------- the page

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sagemaker.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_pages_requests_are_answered(tmp_path):
    iris = models.affine(tmp_path / "iris.onnx")
    with serving(tmp_path / "server", iris) as server:
        host, port = server.data
        names = {}
        for code in CODE[:2]:
            exec(code.replace("http://127.0.0.1:8000", f"http://{host}:{port}"), names)

    assert names["table"].count("\n") == 2
    assert json.loads(b"".join(names["parts"])) == [pytest.approx([11.2, 8.0, 3.8, 1.4])]


def test_the_pages_script_is_served(tmp_path):
    (tmp_path / "own" / "code").mkdir(parents=True)
    (tmp_path / "own" / "code" / "inference.py").write_text(CODE[2])
    (tmp_path / "own" / "weights.json").write_text('{"factor": 2}')
    with serving(tmp_path / "server", tmp_path / "own") as server:
        answer = server.ask("/invocations", body='{"values": [1, 2]}')

    assert answer.json == {"scaled": [2, 4]}
