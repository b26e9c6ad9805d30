import pytest

from inferd.client.models import Known, Models, read_metadata
from inferd.core.errors import Unavailable


def tensor(name="x", datatype="FP32", shape=(-1, 4)):
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def test_metadata_are_read_and_the_batch_is_found():
    row = {
        "name": "m",
        "versions": ["1", "2"],
        "platform": "p",
        "inputs": [tensor()],
        "outputs": [tensor("y")],
    }
    found = read_metadata(row, "m")

    assert (found.name, found.versions, found.platform) == ("m", ("1", "2"), "p")
    assert found.signature.batched
    assert [s.name for s in found.outputs] == ["y"]


def test_a_fixed_first_axis_is_no_batch():
    row = {"name": "m", "inputs": [tensor(shape=(3, 4))], "outputs": [tensor("y", shape=(3,))]}

    assert not read_metadata(row, "m").signature.batched


def test_what_other_servers_write_is_read():
    found = read_metadata(
        {"name": "m", "versions": None, "inputs": [tensor("b", "BF16", ("-1", "3"))], "outputs": None}, "m"
    )  # fmt: skip

    assert found.inputs[0].shape == (-1, 3)
    assert found.inputs[0].dtype.name == "BF16"
    assert read_metadata({}, "m").inputs == ()


@pytest.mark.parametrize(
    "row",
    [[], "x", {"inputs": [tensor(datatype="FP7")]}, {"inputs": ["x"]}, {"inputs": [{"name": "x", "datatype": "FP32", "shape": ["a"]}]},
     {"inputs": 3}],
    ids=str,
)  # fmt: skip
def test_what_is_no_metadata_is_said(row):
    with pytest.raises(Unavailable, match="metadata of model 'm'"):
        read_metadata(row, "m")


def test_metadata_are_kept_by_name_and_version():
    models, known = Models(), Known(read_metadata({}, "m"), 1.0)
    models.put("m", "1", known)

    assert models.get("m", "1") is known
    assert models.get("m", None) is None
    for number in range(3000):
        models.put(str(number), None, known)
    assert len(models._known) <= 1024
