"""Every error of a step names it, and says whose fault it is."""

import pytest

from inferd.core.errors import (
    Cancelled,
    DeadlineExceeded,
    InferdError,
    InvalidInput,
    InvalidParameter,
    ModelFailed,
    NotAllowed,
    NotFound,
    Overloaded,
    Quarantined,
    TooLarge,
    Unavailable,
    Unsupported,
)
from inferd.routing.pipeline.execute.blame import at_fault, blamed, falls_back

KINDS = [
    (Overloaded, Overloaded), (Unavailable, Unavailable), (DeadlineExceeded, DeadlineExceeded),
    (ModelFailed, ModelFailed), (Quarantined, Quarantined), (Cancelled, Cancelled),
    (InvalidInput, ModelFailed), (TooLarge, ModelFailed), (NotFound, Unavailable),
    (NotAllowed, Unavailable), (Unsupported, ModelFailed), (InferdError, InferdError),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "told"), KINDS, ids=[given.__name__ for given, _ in KINDS]
)  # fmt: skip
def test_the_class_is_kept_where_it_makes_sense(given, told):
    error = blamed("asr", given("no", help="so"), from_request=False)

    assert type(error) is told
    assert error.message == "step 'asr': no"
    assert error.help == "so"


@pytest.mark.parametrize("kind", [InvalidInput, TooLarge], ids=lambda k: k.__name__)
def test_what_the_client_fed_is_the_clients_fault(kind):
    assert type(blamed("asr", kind("no"), from_request=True)) is kind


@pytest.mark.parametrize("kind", [Overloaded, Unavailable], ids=lambda k: k.__name__)
def test_when_to_come_back_is_kept(kind):
    assert blamed("asr", kind("no", retry_after=3.5), from_request=False).retry_after == 3.5
    assert blamed("asr", kind("no"), from_request=False).retry_after is None


def test_an_error_nobody_foresaw_tells_nothing_of_itself():
    error = blamed("asr", ValueError("/secret/path"), from_request=True)

    assert type(error) is ModelFailed
    assert "secret" not in str(error)
    assert "'asr'" in error.message


@pytest.mark.parametrize(("inputs", "parameters"), [(True, False), (False, True)])
def test_parameters_and_inputs_are_blamed_apart(inputs, parameters):
    assert at_fault(InvalidInput("no"), inputs=inputs, parameters=parameters) is inputs
    assert at_fault(InvalidParameter("no"), inputs=inputs, parameters=parameters) is parameters


@pytest.mark.parametrize(
    ("error", "from_request", "late", "expected"),
    [
        (ModelFailed("no"), False, False, True),
        (Overloaded("no"), True, False, True),
        (DeadlineExceeded("no"), False, False, True),
        (ValueError("no"), False, False, True),
        (InvalidInput("no"), False, False, True),
        (InvalidInput("no"), True, False, False),
        (Cancelled("no"), False, False, False),
        (ModelFailed("no"), False, True, False),
    ],
    ids=["failed", "overloaded", "its own time", "unforeseen", "an earlier step's fault", "the client's",
         "cancelled", "late"],
)  # fmt: skip
def test_when_a_fallback_answers(error, from_request, late, expected):
    assert falls_back(error, from_request=from_request, late=late) is expected
