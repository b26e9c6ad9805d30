import pytest

from inferd.core.errors import InvalidParameter, ModelFileError
from inferd.runtimes.genai.parameters import MAX_STOP, MAX_STOPS, read_limits, read_sampling


def limits(search=None, context=8192, sequences=None, **parameters):
    return read_limits(
        {"parameters": parameters, "sequences": sequences}, search or {}, context, "m"
    )


def sampling(parameters, **laid_down):
    return read_sampling(parameters, limits(**laid_down))


def test_nothing_said_is_the_likeliest_answer_of_256_tokens():
    found = sampling({})

    assert (found.temperature, found.max_tokens, found.stop, found.seed) == (0.0, 256, (), None)


def test_a_request_goes_before_model_yaml_and_that_before_the_models_own_files():
    search = {
        "do_sample": True,
        "temperature": 0.6,
        "top_p": 0.9,
        "top_k": 20,
        "repetition_penalty": 1.1,
    }
    laid_down = {"temperature": 0.3, "top_p": 0.8}
    found = read_sampling({"temperature": 0.1}, limits(search, **laid_down))

    assert (found.temperature, found.top_p, found.top_k) == (0.1, 0.8, 20)
    assert found.repetition_penalty == 1.1


def test_temperature_of_a_model_that_does_not_sample_is_passed_over():
    assert read_sampling({}, limits({"do_sample": False, "temperature": 1.0})).temperature == 0


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_new_tokens"])
def test_the_length_has_several_names(name):
    assert sampling({name: 7}).max_tokens == 7


def test_the_smallest_of_several_lengths_counts():
    assert sampling({"max_completion_tokens": 5, "max_tokens": 9}).max_tokens == 5
    assert sampling({"max_completion_tokens": 50, "max_tokens": 9}).max_tokens == 9


def test_the_length_is_capped_where_model_yaml_says_so():
    found = limits(max_tokens=100)

    assert read_sampling({"max_tokens": 1000}, found).max_tokens == 100
    assert read_sampling({}, found).max_tokens == 100
    assert read_sampling({"max_tokens": 3}, found).max_tokens == 3


@pytest.mark.parametrize(
    ("given", "stops"),
    [("END", ("END",)), ('["a", "b"]', ("a", "b")), ("[not json", ("[not json",)), ("[]", ())],
)
def test_stops_are_a_text_or_a_json_list(given, stops):
    assert sampling({"stop": given}).stop == stops


@pytest.mark.parametrize(
    "given",
    [
        "",
        "x" * (MAX_STOP + 1),
        '[""]',
        "[1]",
        '["a", ["b"]]',
        str(["x"] * (MAX_STOPS + 1)).replace("'", '"'),
    ],
    ids=["empty", "long", "empty in list", "number", "nested", "many"],
)
def test_stops_that_are_none_are_refused(given):
    with pytest.raises(InvalidParameter, match="stop must be"):
        sampling({"stop": given})


@pytest.mark.parametrize(
    "given",
    [
        {"max_tokens": 0}, {"max_tokens": 1.5}, {"max_tokens": "many"}, {"max_tokens": True},
        {"temperature": -0.1}, {"temperature": float("nan")}, {"temperature": "hot"}, {"top_p": 1.1},
        {"top_k": -2}, {"repetition_penalty": 0}, {"presence_penalty": 11}, {"seed": 1 << 63},
    ],
    ids=repr,
)  # fmt: skip
def test_values_out_of_range_are_named_with_their_range(given):
    (name,) = given
    with pytest.raises(InvalidParameter, match=f"{name} must be a .*number from .* to .*, got "):
        sampling(given)


def test_an_unknown_parameter_is_refused_with_the_nearest():
    with pytest.raises(InvalidParameter, match="unknown parameter 'temprature'") as caught:
        sampling({"temprature": 1})
    assert "temperature" in caught.value.help


def test_the_user_is_for_logs():
    said = {"user": "somebody", "safety_identifier": "s", "prompt_cache_key": "k"}

    assert sampling(said) == sampling({})


def test_the_context_is_bounded_and_may_be_set():
    assert limits(context=131072).context == 4096
    assert limits(context=512).context == 512
    assert limits(context=131072).prompt == 4095
    assert read_limits({"parameters": {"context": 8000}}, {}, 8192, "m").context == 8000


def test_longer_prompts_may_be_refused_earlier():
    assert limits(max_prompt_tokens=100).prompt == 100


def test_the_server_s_number_of_sequences_goes_first():
    assert limits(sequences=3).sequences == 3
    assert read_limits({"parameters": {"sequences": 5}}, {}, 512, "m").sequences == 5


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"context": 9000}, "made for 8192"), ({"context": "wide"}, "m: model.yaml: parameters.context"),
        ({"sequences": 0}, "parameters.sequences"), ({"temprature": 1}, "unknown parameter 'temprature'"),
        ({"temperature": "hot"}, "m: model.yaml: parameters: temperature must be .* got 'hot'"), ({"stop": [""]}, "stop must be"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_model_yaml_cannot_lay_down_is_refused(given, told):
    with pytest.raises(ModelFileError, match=told):
        read_limits({"parameters": given}, {}, 8192, "m")


@pytest.mark.parametrize("name", ["text_input", "inputs"])
def test_who_calls_the_prompt_as_other_servers_do_is_told_its_name(name):
    with pytest.raises(InvalidParameter) as caught:
        sampling({name: "a text"})

    assert caught.value.help == "the text to go on from is the input 'prompt'"
