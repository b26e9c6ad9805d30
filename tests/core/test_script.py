import numpy as np

from inferd.core import script
from inferd.core.signature import Signature, is_text
from inferd.runtimes.sagemaker import ScriptRuntime
from inferd.transforms.compile import compile_chain


def test_the_signature_is_told_from_others_also_after_it_crossed():
    crossed = Signature.from_json(script.SIGNATURE.to_json())
    other = Signature(script.INPUTS[::-1], script.OUTPUTS)

    assert script.reads_bodies(script.SIGNATURE) and script.reads_bodies(crossed)
    assert not script.reads_bodies(other)
    assert not is_text(script.INPUTS[0])


def test_a_request_and_its_answer():
    asked = script.request(b"\xff", "a/b", "text/csv")
    outputs = script.answers([(b"1", "a/b"), (b"2", "c/d")])

    assert [asked[s.name].tolist() for s in script.INPUTS] == [[b"\xff"], [b"a/b"], [b"text/csv"]]
    assert outputs["body"].tolist() == [b"1", b"2"]
    assert script.answer({k: a[1:] for k, a in outputs.items()}) == (b"2", "c/d")


def test_the_made_up_request_is_told_from_a_clients(tmp_path):
    made = compile_chain(script.SIGNATURE, [], [], tmp_path).example()
    runtime = ScriptRuntime()  # without a script: only what asks none of it is answered

    assert made["content_type"].item() == script.MADE_UP.encode()
    assert runtime.run(made)["body"].tolist() == [b""]
    assert np.array_equal(runtime.run(made)["content_type"], made["accept"])
