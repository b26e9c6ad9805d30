import pytest
from tests.client.serving import answer

from inferd.client.wire import model_path
from inferd.core.errors import InvalidInput


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (("m",), "/v2/models/m"),
        (("m", "3", "infer"), "/v2/models/m/versions/3/infer"),
        (("a b/ü", None, "ready"), "/v2/models/a%20b%2F%C3%BC/ready"),
    ],
    ids=["model", "version", "quoted"],
)
def test_paths_of_models(given, path):
    assert model_path(*given) == path


def test_the_json_of_an_answer():
    assert answer(200, {"a": [1]}).json() == {"a": [1]}
    with pytest.raises(InvalidInput):
        answer(200, b"<html>").json()
