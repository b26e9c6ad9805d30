import pytest

from inferd.core.errors import ConfigError
from inferd.telemetry.sampling import PASSED_ON, Traces, share

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"


def kept(span):
    """A sink."""


def test_where_no_spans_are_kept_a_context_is_passed_on_as_it_came():
    trace = PASSED_ON.of(PARENT + "01", "a=1")

    assert (trace.parent, trace.state, trace.sink) == (PARENT + "01", "a=1", None)
    assert PASSED_ON.of(None) is None
    assert PASSED_ON.of("nonsense") is None
    assert not PASSED_ON.on


def test_what_the_caller_traces_is_traced_whatever_the_share():
    traces = Traces(kept, 0.0)
    trace = traces.of(PARENT + "01")

    assert traces.on
    assert (trace.sink, trace.parent_id) == (kept, "b7ad6b7169203331")
    assert trace.span_id != trace.parent_id


def test_what_the_caller_does_not_trace_is_not_whatever_the_share():
    trace = Traces(kept, 1.0).of(PARENT + "00")

    assert (trace.parent, trace.sink) == (PARENT + "00", None)


@pytest.mark.parametrize("part", [0.0, 0.25, 1.0], ids=str)
@pytest.mark.parametrize("parent", [None, "nonsense"], ids=str)
def test_of_the_others_a_share_begins_a_trace(part, parent):
    traces = Traces(kept, part)
    found = [traces.of(parent) for _ in range(2000)]
    sampled = [trace for trace in found if trace.sampled]

    assert len({trace.trace_id for trace in found}) == 2000
    assert all((trace.sink is kept) == trace.sampled for trace in found)
    # 0.25 of 2000 is 500 with a standard deviation of 19.
    assert abs(len(sampled) / 2000 - part) < 0.06
    # Servers that decide by the same id and share decide alike.
    assert all((int(t.trace_id[16:], 16) < part * 2**64) == t.sampled for t in found)


def test_what_is_not_sampled_says_so_to_others():
    trace = Traces(kept, 0.0).of(None)

    assert trace.child() is trace
    assert trace.parent.endswith("-00")


@pytest.mark.parametrize(
    ("chosen", "environ", "expected"),
    [
        (None, {}, 1.0),
        (0.5, {"OTEL_TRACES_SAMPLER_ARG": "0.1"}, 0.5),
        (None, {"OTEL_TRACES_SAMPLER_ARG": "0.1"}, 0.1),
        (None, {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.2"}, 0.2),
        (None, {"OTEL_TRACES_SAMPLER": "always_off"}, 0.0),
        (None, {"OTEL_TRACES_SAMPLER": "parentbased_always_off", "OTEL_TRACES_SAMPLER_ARG": "1"}, 0.0),
        (None, {"OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "0.1"}, 1.0),
        (None, {"OTEL_TRACES_SAMPLER": "traceidratio"}, 1.0),
    ],
    ids=["default", "setting", "argument", "ratio", "off", "parent off", "on", "no argument"],
)  # fmt: skip
def test_the_share_is_the_settings_or_that_of_the_standard_variables(chosen, environ, expected):
    assert share(chosen, environ) == expected


@pytest.mark.parametrize("text", ["2", "-0.1", "half", "nan"], ids=str)
def test_a_variable_that_says_no_share_is_refused(text):
    with pytest.raises(ConfigError, match="OTEL_TRACES_SAMPLER_ARG"):
        share(None, {"OTEL_TRACES_SAMPLER_ARG": text})
