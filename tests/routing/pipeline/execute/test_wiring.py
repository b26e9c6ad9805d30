"""A plan worked out: places for values, and which steps wait for which."""

from tests.routing.pipeline.written import function, model, read

from inferd.core.tensor import BYTES, FP32
from inferd.routing.pipeline.check.typing import plan
from inferd.routing.pipeline.execute.wiring import wired

TEXT = """
    inputs: [x, y]
    steps:
      last: {python: "s:f", inputs: {a: second.out, b: [each.out, first.out]}, when: first.n > 0}
      first: {model: "m@2", inputs: {x: x}, fallback: {model: small}}
      second: {python: "s:f", inputs: {a: first.out, b: 0.5}}
      each: {model: m, map: {x: first.list}, inputs: {y: y}}
    outputs:
      out: last.out
      z: {from: [last.out, second.out]}
""".replace("out: last.out\n", "out: {from: last.out, default: 1.0}\n")


def made(directory):
    m = model(
        "x: float32",
        "out: float32, n: int64, list: float32 -1, unused: float32",
        fallback=model("x: float32", "out: float32, n: int64, list: float32 -1").signature,
    )
    f = function("a: float32, b: float32", "out: float32")
    each = model("x: float32, y: float32", "out: float32, more: bytes 2")
    text = TEXT.replace("b: [each.out, first.out]", "b: first.out")
    return wired(plan(read(directory, text), {"first": m, "second": f, "last": f, "each": each}))


def test_every_input_and_every_output_that_is_used_has_a_place(tmp_path):
    wiring = made(tmp_path)
    lines = {line.name: line for line in wiring.lines}

    assert [name for name, _ in wiring.inputs] == ["x", "y"]
    assert lines["first"].used == ("out", "n", "list")
    assert lines["each"].used is None
    places = [place for _, place in wiring.inputs]
    places += [slot.place for line in wiring.lines for slot in line.outputs]
    assert sorted(places) == list(range(wiring.size))


def test_steps_know_what_waits_for_them(tmp_path):
    wiring = made(tmp_path)
    lines = {line.name: line for line in wiring.lines}
    after = {line.name: {wiring.lines[i].name for i in line.then} for line in wiring.lines}

    assert after == {
        "first": {"second", "last", "each"},
        "second": {"last"},
        "last": set(),
        "each": set(),
    }
    assert [line.name for line in wiring.firsts] == ["first"]
    assert {name: line.waits for name, line in lines.items()} == {
        "first": 0, "second": 1, "last": 2, "each": 1,
    }  # fmt: skip
    assert [line.index for line in wiring.lines] == [0, 1, 2, 3]


def test_what_a_step_asks_and_what_feeds_it(tmp_path):
    wiring = made(tmp_path)
    lines = {line.name: line for line in wiring.lines}
    place = {f"first.{s.name}": s.place for s in lines["first"].outputs}

    assert (lines["first"].model, lines["first"].version) == ("m", "2")
    assert lines["first"].other.model == "small"
    assert lines["second"].model == "second"
    by_name = {source.name: source for source in lines["second"].inputs}
    assert by_name["a"].places == (place["first.out"],)
    assert by_name["b"].constant == 0.5
    assert [source.places for source in lines["each"].mapped] == [(place["first.list"],)]
    assert [place for _, place in lines["last"].condition] == [place["first.n"]]


def test_outputs_of_a_mapped_step_are_checked_by_the_element(tmp_path):
    text = """
        inputs: [x]
        steps:
          each: {model: m, map: {x: x}}
          all: {python: "s:f", inputs: {parts: each.out, texts: each.more}}
        outputs: {y: all.y}
    """
    callees = {
        "each": model("x: float32", "out: float32 -1, more: bytes 2"),
        "all": function("parts: float32 -1 -1, texts: bytes -1 2", "y: float32", ["parts"]),
    }
    (each, _) = wired(plan(read(tmp_path, text), callees)).lines

    assert [(s.name, s.dtype, s.shape, s.uneven) for s in each.outputs] == [
        ("out", FP32, (-1,), False), ("more", BYTES, (2,), False),
    ]  # fmt: skip


def test_exits_know_what_gives_them(tmp_path):
    wiring = made(tmp_path)
    out, z = wiring.exits
    names = [line.name for line in wiring.lines]

    assert [names[i] for i in z.steps] == ["last", "second"]
    assert z.outputs == ("out", "out")
    assert out.outlet.default == 1.0
