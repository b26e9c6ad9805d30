from tests.codecs.signatures import signature

from inferd.codecs.tfmetadata import DATATYPES, metadata
from inferd.core.tensor import DTYPES


def test_every_datatype_has_its_name():
    assert set(DATATYPES) == set(DTYPES)


def test_metadata_is_the_json_of_the_signature_message():
    sig = signature([("text", "BYTES", [-1])], [("y", "FP32", [-1, 3]), ("n", "INT64", [-1])])

    found = metadata("m", "12", sig)

    assert found["model_spec"] == {"name": "m", "signature_name": "", "version": "12"}
    assert found["metadata"]["signature_def"]["signature_def"]["serving_default"] == {
        "inputs": {"text": {
            "dtype": "DT_STRING", "name": "text",
            "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        }},
        "outputs": {
            "y": {
                "dtype": "DT_FLOAT", "name": "y",
                "tensor_shape": {
                    "dim": [{"size": "-1", "name": ""}, {"size": "3", "name": ""}],
                    "unknown_rank": False,
                },
            },
            "n": {
                "dtype": "DT_INT64", "name": "n",
                "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
            },
        },
        "method_name": "tensorflow/serving/predict",
    }  # fmt: skip
