import numpy as np
import pytest

from inferd.core.errors import InvalidInput, ModelFailed, ModelFileError
from inferd.runtimes.call import Call, fitting


def texts(*values):
    return np.array(values, object)


class Subject:
    def __init__(self):
        self.seen = None

    def arrays(self, a, b):
        self.seen = (a, b)
        return a

    def everything(self, inputs):
        self.seen = inputs
        return 1

    def each(self, text: str) -> int:
        return len(text)

    def leaves(self, x):
        raise SystemExit(3)

    async def waits(self, x):
        return x

    def pieces(self, text: str, parameters, times: int = 1):
        for _ in range(times):
            yield text, parameters


def test_parameters_named_after_inputs_are_given_those():
    subject = Subject()
    call = Call(subject.arrays, "m:S")

    call({"b": np.ones(1), "a": np.zeros(1), "c": np.ones(1)})

    assert [int(x[0]) for x in subject.seen] == [0, 1]
    with pytest.raises(ModelFailed, match="takes a, b, and was to be given a"):
        call({"a": np.zeros(1)})


def test_one_parameter_of_another_name_is_given_all():
    subject = Subject()

    assert Call(subject.everything, "m:S")({"a": 1, "b": 2}) == 1
    assert subject.seen == {"a": 1, "b": 2}


def test_a_method_written_for_one_example_is_called_for_each():
    assert Call(Subject().each, "m:S")({"text": texts(b"a", b"four")}) == [1, 4]


def test_leaving_is_a_failure_and_async_is_refused():
    with pytest.raises(ModelFailed, match=r"sys.exit\(3\)"):
        Call(Subject().leaves, "m:S")({"x": np.ones(1)})
    with pytest.raises(ModelFileError, match="must not be async"):
        Call(Subject().waits, "m:S")


def test_a_generator_takes_what_it_asks_for_of_the_parameters():
    call = Call(Subject().pieces, "m:S")
    given = {"text": texts(b"a")}

    assert (call.names, list(call.asked)) == (["text"], ["parameters", "times"])
    assert list(call.chunks(given, {})) == [("a", {})]
    assert len(list(call.chunks(given, {"times": 3, "other": 1}))) == 3


@pytest.mark.parametrize(
    ("value", "default", "fitted"),
    [(2, 1.0, 2.0), (2.0, 1, 2), ("x", "", "x"), (True, False, True), (3, None, 3)],
)
def test_parameters_fit_the_kind_of_their_default(value, default, fitted):
    assert fitting("p", value, default) == fitted
    assert type(fitting("p", value, default)) is type(fitted)


@pytest.mark.parametrize(("value", "default"), [("1", 1), (1.5, 1), (True, 1), (1, ""), (1, False)])
def test_parameters_of_another_kind_are_refused(value, default):
    with pytest.raises(InvalidInput, match="parameter 'p' must be"):
        fitting("p", value, default)
