import subprocess
import sys

import pytest

from inferd.codecs.protobuf.messages import CLASSES, POOL, inference, parse, serving
from inferd.core.errors import InvalidInput


def test_a_message_is_found_by_its_package_and_name():
    assert inference("ModelInferRequest") is CLASSES["inference.ModelInferRequest"]
    assert serving("ModelSpec").DESCRIPTOR.full_name == "tensorflow.serving.ModelSpec"
    assert POOL.FindFileByName("inference.proto").package == "inference"


def test_what_is_no_message_is_invalid_input():
    with pytest.raises(InvalidInput, match=r"no inference\.ModelInferRequest"):
        parse(inference("ModelInferRequest"), b"\xff\xff\xff")


def test_the_default_pool_stays_as_it_was():
    code = (
        "import inferd.codecs.protobuf.messages\n"
        "from google.protobuf import descriptor_pool\n"
        "try:\n"
        "    descriptor_pool.Default().FindMessageTypeByName('inference.ModelInferRequest')\n"
        "except KeyError:\n"
        "    print('absent')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "absent"
