import pytest

from inferd.api.errors import KIND_OF, STATUS
from inferd.api.runtime_errors import FAILURES, LONGEST, failure_of, markdown, runtime_shape


@pytest.mark.parametrize(
    ("kind", "name", "status"),
    [
        ("invalid_input", "ValidationError", 400),
        ("not_found", "ValidationError", 400),
        ("too_large", "ValidationError", 400),
        ("not_acceptable", "ValidationError", 400),
        ("unsupported", "ValidationError", 400),
        ("model_failed", "ModelError", 424),
        ("deadline_exceeded", "ModelError", 424),
        ("unavailable", "ModelNotReadyException", 429),
        ("overloaded", "ServiceUnavailable", 503),
        ("internal", "InternalFailure", 500),
        ("model_file", "InternalFailure", 500),
    ],
)
def test_kinds_are_errors_of_the_api(kind, name, status):
    code, body, headers = runtime_shape(STATUS[kind], kind, "it went wrong")

    assert code == status
    assert body["Message"] == "it went wrong"
    assert headers == [(b"x-amzn-errortype", name.encode())]


def test_a_models_error_holds_what_a_container_would_have_answered():
    _, body, _ = runtime_shape(500, "model_failed", "a" * 5000)

    assert body["OriginalStatusCode"] == 500
    assert body["OriginalMessage"] == body["Message"] == "a" * LONGEST


def test_every_kind_has_one():
    for kind, status in (*STATUS.items(), *((k, s) for s, k in KIND_OF.items())):
        assert failure_of(status, kind).status in (400, 403, 405, 424, 429, 500, 503)
    assert FAILURES.keys() <= {*STATUS, *KIND_OF.values()}


def test_the_table_of_the_document_has_every_row():
    assert all(f"| `{kind}` |" in markdown() for kind in FAILURES)
