"""Pipelines loaded for real, and their state through the life of what they ask."""

import asyncio
import os
import signal

import numpy as np
import pytest
from tests.control.test_loader import Remembered, run
from tests.server.applications import everything, reading, write
from tests.system.models import affine

from inferd.control.loader import Loader, LoadSettings
from inferd.control.models import Models
from inferd.control.pipeline.loader import Pipelines
from inferd.control.sources import read_specs
from inferd.core.errors import ConfigError, InferdError, ModelFailed, ModelFileError, Unavailable
from inferd.core.message import Request
from inferd.core.signature import Signature
from inferd.routing.table import FAILED, LOADING, READY, RouteTable, Version

ONE = """
inputs: [x]
steps:
  a: {model: part, inputs: {x: x}}
outputs: {y: a.y}
"""
STANDING = ONE.replace("inputs: {x: x}}", "inputs: {x: x}, fallback: {values: {y: [0, 0, 0, 0]}}}")
FUNCTION = """
inputs: [x]
steps:
  f: {python: "code:f", inputs: {x: x}}
  a: {model: part, inputs: {x: f.output}}
outputs: {y: a.y}
"""
CODE = """
from typing import Annotated
import numpy as np
Row = Annotated[np.ndarray, "float32", (4,)]

def f(x: Row) -> Row:
    return x + %s
"""


def models(**settings):
    loader = Loader(
        RouteTable(),
        LoadSettings(**{"instances": 1, "executor": "inline", **settings}),
        Remembered(None),
    )
    return Models(loader, Pipelines(loader, LoadSettings().limits))


def shape(columns=4, name="x"):
    return Signature.from_json({
        "inputs": [{"name": name, "dtype": "float32", "shape": [-1, columns]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": [-1, columns]}],
    })  # fmt: skip


class Doubling:
    def __init__(self, by=2):
        self.by = by

    async def __call__(self, request):
        from inferd.core.message import Response, Timings

        return Response("part", "1", {"y": request.inputs["x"] * self.by}, Timings())


def part(state=READY, signature=None, number="1", name="part"):
    signature = signature or shape()
    ready = state == READY
    return Version(name, number, state, "" if ready else f"{name} is not", signature if ready else None,
                   servable=Doubling() if ready else None)  # fmt: skip


def app(tmp_path, text=ONE, plus=None, **more):
    files = {
        "app/pipeline.yaml": text,
        **{f"app/{k.replace('__', '.')}": v for k, v in more.items()},
    }
    if plus is not None:
        files["app/code.py"] = CODE % plus
    write(tmp_path, files)
    (spec,) = read_specs([tmp_path / "app"])
    return spec


async def ask(subject, *values, name="app"):
    version = subject.table.resolve(name)
    x = np.array([values or (1, 2, 3, 4)], np.float32)
    answer = await version.servable(Request(name, {"x": x}, deadline=float("inf")))
    return answer.outputs["y"][0].tolist()


async def becomes(subject, state, name="app"):
    async with asyncio.timeout(10):
        while subject.table.find(name).state != state:
            await asyncio.sleep(0.005)
    return subject.table.find(name)


def test_it_is_ready_once_its_models_are(tmp_path):
    async def main(pids):
        subject = models()
        subject.table.put(part())
        pipeline = await subject.load(app(tmp_path))
        version = subject.table.find("app")
        assert (version.state, version.reason, version.platform, version.parts) == (
            READY, "", "pipeline", ("part",),
        )  # fmt: skip
        assert version.signature.inputs[0].shape == (-1, 4) and not version.streams
        assert await ask(subject) == [2, 4, 6, 8]
        assert subject.table.find(None) is version  # the other is its part
        told = version.describe()
        assert (
            told["pipeline"]["steps"][0]["model"] == "part" and told["step_times"]["a"]["runs"] == 1
        )
        assert pipeline.load_seconds > 0 and told["instances"] == []
        await subject.stop(1.0)

    run(main)


def test_it_waits_for_a_part_and_does_not_hold_the_start(tmp_path):
    async def main(pids):
        subject = models()
        subject.table.put(part(LOADING))
        await subject.load(app(tmp_path, FUNCTION, plus=1))
        version = subject.table.find("app")
        assert (version.state, version.reason) == (LOADING, "waits for model 'part': part is not")
        with pytest.raises(Unavailable, match="waits for model 'part'"):
            subject.table.resolve("app")
        subject.table.put(part())
        await becomes(subject, READY)
        assert await ask(subject) == [4, 6, 8, 10]
        await subject.stop(1.0)

    run(main)


def test_its_state_follows_its_parts_and_back(tmp_path):
    async def main(pids):
        subject = models()
        one = part()
        subject.table.put(one)
        await subject.load(app(tmp_path))
        version = subject.table.find("app")
        for state, told in (
            (LOADING, "waits for model 'part': busy"), (FAILED, "model 'part' has failed: busy"),
        ):  # fmt: skip
            one.state, one.reason = state, "busy"
            subject.table.changed("part")
            assert (version.state, version.reason) == (state, told)
        one.state, one.reason = READY, ""
        subject.table.changed("part")
        assert version.state == READY and await ask(subject) == [2, 4, 6, 8]
        subject.table.remove("part", "1")
        assert version.reason == "waits for model 'part': no model named 'part'"
        await subject.stop(1.0)

    run(main)


def test_a_fallback_keeps_it_ready(tmp_path):
    async def main(pids):
        subject = models()
        one = part()
        subject.table.put(one)
        await subject.load(app(tmp_path, STANDING))
        one.state, one.reason = FAILED, "it is broken"
        subject.table.changed("part")
        assert subject.table.find("app").ready
        assert await ask(subject) == [0, 0, 0, 0]
        await subject.stop(1.0)

    run(main)


def test_a_fallback_answers_while_the_model_is_loading_and_its_types_are_not_known(tmp_path):
    async def main(pids):
        subject = models()
        subject.table.put(part(LOADING))
        subject.table.put(part(name="small"))
        subject.table.find("small").servable = Doubling(4)
        text = ONE.replace("inputs: {x: x}}", "inputs: {x: x}, fallback: {model: small}}")
        await subject.load(app(tmp_path, text))
        version = subject.table.find("app")
        assert version.ready and await ask(subject) == [4, 8, 12, 16]
        before = version.servable
        subject.table.put(part())
        async with asyncio.timeout(10):
            while version.servable is before:
                await asyncio.sleep(0.005)
        assert version.ready and await ask(subject) == [2, 4, 6, 8]
        subject.table.put(part(signature=shape(3)))
        failed = await becomes(subject, FAILED)
        assert "the model 'small' has the input 'x' as float32[4]" in failed.reason
        await subject.stop(1.0)

    run(main)


def test_a_part_of_other_types_is_checked_anew(tmp_path):
    async def main(pids):
        subject = models()
        subject.table.put(part())
        await subject.load(app(tmp_path))
        servable = subject.table.find("app").servable
        subject.table.put(part())  # another of the same types
        await asyncio.sleep(0.05)
        assert subject.table.find("app").servable is servable
        subject.table.put(part(signature=shape(name="z")))
        version = await becomes(subject, FAILED)
        assert (
            "pipeline.yaml:4: steps.a.inputs.x: the model 'part' has no input 'x'" in version.reason
        )
        subject.table.put(part(signature=shape(3)))
        await becomes(subject, READY)
        assert version.signature.inputs[0].shape == (-1, 3)
        assert await ask(subject, 1, 2, 3) == [2, 4, 6]
        await subject.stop(1.0)

    run(main)


def test_a_pipeline_over_a_pipeline_follows_through(tmp_path):
    async def main(pids):
        subject = models()
        one = part()
        subject.table.put(one)
        write(
            tmp_path,
            {
                "top/pipeline.yaml": ONE.replace("model: part", "model: app"),
                "app/pipeline.yaml": ONE,
            },
        )
        specs = read_specs([tmp_path / "top", tmp_path / "app"])
        assert await subject.load_all(specs) == []
        assert await ask(subject, name="top") == [2, 4, 6, 8]
        one.state, one.reason = FAILED, "it is broken"
        subject.table.changed("part")
        assert subject.table.find("top").reason == (
            "model 'app' has failed: model 'part' has failed: it is broken"
        )
        one.state = READY
        subject.table.changed("part")
        assert subject.table.find("top").ready
        await subject.stop(1.0)

    run(main)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (
            {"a": ONE.replace("part", "b"), "b": ONE.replace("part", "a")},
            "these pipelines ask each other: ",
        ),
        ({"a": ONE.replace("part", "nobody")}, "no model named 'nobody'"),
        ({"a": ONE.replace("a.y", "a.z")}, "has no output 'z'"),
        ({"a": FUNCTION.replace("code:", "nowhere:")}, "no module 'nowhere'"),
        ({"a": "steps: {}"}, "pipeline.yaml"),
    ],
    ids=["cycle", "unknown", "types", "module", "file"],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(tmp_path, files, says):
    async def main(pids):
        subject = models()
        subject.table.put(part())
        write(tmp_path, {f"{name}/pipeline.yaml": text for name, text in files.items()})
        try:
            failures = await subject.load_all(read_specs([tmp_path / name for name in files]))
        except ConfigError as error:
            failures = [error]
        assert failures and says in str(failures[0]), failures
        for version in subject.table.all():
            assert version.model == "part" or (version.state == FAILED and says in version.reason)
        await subject.stop(0.0)

    run(main)


def test_samples_are_answered_before_it_is_ready(tmp_path):
    async def main(pids):
        subject = models()
        subject.table.put(part(LOADING))
        spec = app(tmp_path, model__yaml="warmup: s.json\n", s__json='[{"data": [1, 2, 3, 4]}]')
        pipeline = await subject.load(spec)
        assert not pipeline.proven and not subject.pipelines.samples()
        subject.table.put(part())
        await becomes(subject, READY)
        assert subject.pipelines.samples()["app"]["x"].tolist() == [[1, 2, 3, 4]]
        assert pipeline.tally.to_json()["a"]["runs"] == 1
        (tmp_path / "app/s.json").write_text('[{"data": [1, 2]}]')
        with pytest.raises(ModelFileError, match=r"s\.json: sample 0"):
            await subject.replace(spec)
        assert await ask(subject) == [2, 4, 6, 8]  # the old one serves on
        await subject.stop(1.0)

    run(main)


def test_a_sample_that_fails_is_told(tmp_path):
    async def main(pids):
        subject = models()
        subject.table.put(part())
        spec = app(tmp_path, FUNCTION, model__yaml="warmup: s.json\n", s__json='[{"data": [1, 2, 3, 4]}]',
                   code__py=CODE % "1 / 0")  # fmt: skip
        with pytest.raises(
            ModelFileError, match="pipeline app v1: its golden request failed: step 'f': ZeroDiv"
        ):
            await subject.load(spec)
        assert subject.table.find("app").state == FAILED
        await subject.stop(0.0)

    run(main)


def test_one_is_replaced_by_another_without_a_pause(tmp_path):
    async def main(pids):
        subject = models(executor="process")
        subject.table.put(part())
        spec = app(tmp_path, FUNCTION, plus=0)
        old = await subject.load(spec)
        pids += [e.describe()["pid"] for e in old.worker.executors]
        answers, done = set(), asyncio.Event()

        async def client():
            while not done.is_set():
                answers.add((await ask(subject))[0])
                await asyncio.sleep(0)

        asking = asyncio.create_task(client())
        await asyncio.sleep(0.1)
        await subject.replace(app(tmp_path, FUNCTION, plus=10))
        new = subject.pipelines.loaded["app", "1"]
        pids += [e.describe()["pid"] for e in new.worker.executors]
        await asyncio.sleep(0.1)
        done.set()
        await asking
        assert answers == {2, 22} and new is not old and old.worker is None
        with pytest.raises(InferdError, match="SyntaxError"):
            (tmp_path / "app/code.py").write_text("def f(:\n")
            await subject.replace(spec)
        assert (await ask(subject))[0] == 22
        await subject.stop(1.0)

    run(main)


def test_a_function_that_ends_its_worker_does_not_end_the_pipeline(tmp_path):
    async def main(pids):
        subject = models(executor="process")
        subject.table.put(part())
        pipeline = await subject.load(app(tmp_path, FUNCTION, plus=1))
        assert await ask(subject) == [4, 6, 8, 10]
        (first,) = [e.describe()["pid"] for e in pipeline.worker.executors]
        os.kill(first, signal.SIGKILL)
        assert await ask(subject) == [4, 6, 8, 10]  # held until the worker is back
        pids += [first, *(e.describe()["pid"] for e in pipeline.worker.executors)]
        assert pids[-1] != first and subject.table.find("app").ready
        await subject.stop(1.0)

    run(main)


def test_a_worker_that_gives_up_fails_the_pipeline(tmp_path):
    async def main(pids):
        subject = models(executor="process")
        subject.table.put(part())
        pipeline = await subject.load(app(tmp_path, FUNCTION, plus=1))
        pids += [e.describe()["pid"] for e in pipeline.worker.executors]
        await pipeline.worker.executors[0].stop(0.0)
        pipeline.worker.executors[0].state = "failed"
        pipeline.worker.executors[0].reason = "it never came back"
        pipeline.worker.batcher.changed(pipeline.worker.executors[0])
        version = subject.table.find("app")
        assert (version.state, version.reason) == (FAILED, "its own steps: it never came back")
        await subject.stop(1.0)

    run(main)


def test_unloading_lets_what_runs_finish(tmp_path):
    async def main(pids):
        subject = models()
        subject.table.put(part())
        slow = "import time\n" + CODE % "time.sleep(0.3) or x * 0 + 1"
        await subject.load(app(tmp_path, FUNCTION, code__py=slow.replace("x + time", "time")))
        asking = asyncio.create_task(ask(subject))
        await asyncio.sleep(0.1)
        await subject.unload("app", "1", 5.0)
        assert await asking == [2, 2, 2, 2]
        assert subject.table.names() == ["part"] and not subject.pipelines.loaded
        await subject.stop(0.0)

    run(main)


def test_a_slow_transform_joins_the_worker(tmp_path, monkeypatch):
    from inferd.control.pipeline import steps

    monkeypatch.setattr(steps, "INLINE_SECONDS", 0.0)
    text = FUNCTION.replace("inputs: {x: f.output}}", "inputs: {x: t.x}}").replace(
        "  a: {", "  t: {transform: [softmax], inputs: {x: f.output}}\n  a: {"
    )

    async def main(pids):
        subject = models(executor="process")
        subject.table.put(part())
        pipeline = await subject.load(app(tmp_path, text, plus=0))
        assert list(pipeline.placed.worker) == ["t"] and not pipeline.placed.inline
        assert sum(await ask(subject)) == pytest.approx(2)
        pids += [e.describe()["pid"] for e in pipeline.worker.executors]
        await subject.stop(1.0)

    run(main)


def test_a_whole_repository(tmp_path):
    async def main(pids):
        subject = models()
        folder = everything(tmp_path)
        assert await subject.load_all(read_specs([folder])) == []
        assert {v.model: v.state for v in subject.table.all()} == dict.fromkeys(
            ["double", "reading", "same", "teller", "telling", "whole"], READY
        )
        assert subject.table.find("telling").streams
        assert sorted(m.spec.name for m in subject.workers()) == [
            "double", "reading", "same", "teller", "telling",
        ]  # fmt: skip
        assert await ask(subject, name="same") == [3, 5, 7, 9]
        with pytest.raises(ModelFailed, match="step 'keep': ValueError: a bad item"):
            await ask(subject, -2, 0, 0, 0, name="same")
        await subject.stop(1.0)

    run(main)


def test_a_version_that_is_named_is_asked(tmp_path):
    async def main(pids):
        folder = reading(tmp_path)
        (folder / "reading/double/2").mkdir()
        affine(folder / "reading/double/2/double.onnx", plus=100.0)
        write(folder, {"reading/pipeline.yaml": ONE.replace("model: part", "model: double@1")})
        subject = models()
        assert await subject.load_all(read_specs([folder / "reading"])) == []
        assert await ask(subject, name="reading") == [3, 5, 7, 9]
        assert await ask(subject, name="double") == [102, 104, 106, 108]
        await subject.stop(1.0)

    run(main)


SLOW = (
    "import time\n" + (CODE % "0").replace("return x + 0", "time.sleep(0.2)\n    return x") + "\n"
)


@pytest.mark.parametrize("nested", [False, True], ids=["a model", "a pipeline"])
def test_what_is_replaced_waits_for_requests_on_their_way_to_it(tmp_path, nested):
    """A request that began before asks the versions it was given, however late it gets there."""

    async def main(pids):
        folder = reading(tmp_path)
        inner = "same" if nested else "double"
        write(folder, {"app/pipeline.yaml": FUNCTION.replace("model: part", f"model: {inner}"),
                       "app/code.py": SLOW, "same/pipeline.yaml": FUNCTION.replace("part", "double"),
                       "same/code.py": CODE % 0})  # fmt: skip
        subject = models(executor="process")
        specs = {s.name: s for s in read_specs([folder])}
        assert await subject.load_all(list(specs.values())) == []
        asking = [asyncio.create_task(ask(subject)) for _ in range(3)]
        await asyncio.sleep(0.05)
        begun = asyncio.get_running_loop().time()
        await subject.replace(specs[inner], 10.0)
        assert asyncio.get_running_loop().time() - begun < 5  # it waits for them, and no longer
        assert [await one for one in asking] == [[3, 5, 7, 9]] * 3
        assert await ask(subject) == [3, 5, 7, 9]
        for model in subject.workers():
            pids.extend(e.describe()["pid"] for e in model.executors)
        await subject.stop(1.0)

    run(main)


def test_what_is_unloaded_waits_for_requests_on_their_way_to_it(tmp_path):
    async def main(pids):
        folder = reading(tmp_path)
        write(
            folder, {"app/pipeline.yaml": FUNCTION.replace("part", "double"), "app/code.py": SLOW}
        )
        subject = models(executor="process")
        assert await subject.load_all(read_specs([folder])) == []
        asking = asyncio.create_task(ask(subject))
        await asyncio.sleep(0.05)
        await subject.unload("double", "1", 10.0)
        assert await asking == [3, 5, 7, 9]
        with pytest.raises(Unavailable, match="waits for model 'double'"):
            await ask(subject)
        await subject.stop(1.0)

    run(main)


def test_a_transform_that_needs_a_library_runs_in_the_worker(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.models.WordLevel({"the": 0, "cat": 1, "sat": 2}, unk_token="the")
    (tmp_path / "app").mkdir()
    tokenizers.Tokenizer(words).save(str(tmp_path / "app/tokenizer.json"))
    text = """
inputs: {ids: {dtype: int64, shape: [-1]}}
steps:
  say: {transform: [decode_tokens], inputs: {ids: ids}}
outputs: {text: say.text}
"""

    async def main(pids):
        subject = models(executor="process")
        pipeline = await subject.load(app(tmp_path, text))
        assert pipeline.describe()["in_front"] == []
        servable = subject.table.find("app").servable
        for ids, said in (([1, 2], b"cat sat"), ([0, 1], b"the cat")):
            answer = await servable(Request("app", {"ids": np.array([ids])}, deadline=float("inf")))
            assert answer.outputs["text"].tolist() == [said]
        pids += [e.describe()["pid"] for e in pipeline.worker.executors]
        (tmp_path / "app/tokenizer.json").write_text("{")
        with pytest.raises(InferdError, match=r"tokenizer\.json"):
            await subject.replace(app(tmp_path, text))
        await subject.stop(1.0)

    run(main)
