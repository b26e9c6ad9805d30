"""Small applications for tests of pipelines: models, Python steps, and the files that join them."""

import textwrap

from tests.system.models import affine

STEPS = textwrap.dedent(
    """
    import os
    import time
    from typing import Annotated, TypedDict

    import numpy as np

    Row = Annotated[np.ndarray, "float32", (4,)]


    class Cut(TypedDict):
        rows: Annotated[np.ndarray, "float32", (-1, 4)]
        strips: list[Annotated[np.ndarray, "float32", (-1,)]]
        count: int


    def cut(x: Row) -> Cut:
        if x[0] == -2:
            raise ValueError("a bad item")
        if x[0] == -1:
            os.abort()
        if x[0] == -3:
            time.sleep(600)
        count = int(x[0])
        rows = np.tile(x, (count, 1)).astype(np.float32)
        return {"rows": rows, "strips": [np.arange(n, dtype=np.float32) for n in range(count)], "count": count}


    class Joined(TypedDict):
        sum: float
        lengths: list[int]
        text: str


    def join(rows: Annotated[np.ndarray, "float32", (-1, 4)], strips: list[Annotated[np.ndarray, "float32", (-1,)]],
             note: str = "none") -> Joined:
        return {"sum": float(rows.sum()), "lengths": [len(s) for s in strips], "text": f"{len(rows)} rows, {note}"}


    def shout(text: str) -> str:
        return text.upper() + "!"


    def keep(x: Row) -> Row:
        if x[0] == -2:
            raise ValueError("a bad item")
        return x


    def word(text: str) -> str:
        return text.strip() + " said"
    """
)

READING = textwrap.dedent(
    """
    description: cuts a row into rows, doubles each, and joins them
    inputs:
      x: {dtype: float32, shape: [4]}
      loud: {dtype: bool, shape: []}
    steps:
      cut: {python: "steps:cut", inputs: {x: x}}
      double:
        model: double
        map: {x: cut.rows}
        when: cut.count > 0
      join:
        python: "steps:join"
        inputs: {rows: [double.y, cut.rows], strips: cut.strips, note: {value: plain}}
      likely: {transform: [softmax], inputs: {scores: x}}
      shout:
        python: "steps:shout"
        inputs: {text: join.text}
        when: loud
    outputs:
      sum: join.sum
      lengths: join.lengths
      text: [shout.output, join.text]
      likely: likely.scores
    """
)

WHOLE = textwrap.dedent(
    """
    inputs: [x]
    steps:
      first: {model: double, inputs: {x: x}}
      read:
        model: reading
        inputs: {x: first.y, loud: false}
    outputs:
      sum: read.sum
      text: read.text
    """
)

SAME = textwrap.dedent(
    """
    inputs: [x]
    steps:
      keep: {python: "steps:keep", inputs: {x: x}}
      double: {model: double, inputs: {x: keep.output}}
    outputs: {y: double.y}
    """
)

TELLER = textwrap.dedent(
    """
    from inferd import Model


    class Teller(Model):
        inputs = {"prompt": ("bytes", [-1])}
        outputs = {"text": ("bytes", [-1])}

        def predict(self, prompt, words: int = 4):
            said = prompt[0]
            said = said.decode() if isinstance(said, bytes) else said
            for word in (said, " one", " two", " three")[:words]:
                yield word
    """
)

TELLING = textwrap.dedent(
    """
    task: generate
    inputs: {prompt: {dtype: bytes, content: text}}
    steps:
      word: {python: "steps:word", inputs: {text: prompt}}
      tell: {model: teller, inputs: {prompt: word.output}}
    outputs: {text: tell.text}
    """
)


def write(folder, files):
    """Write texts below ``folder``; return it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def reading(folder):
    """Write the application ``reading``: its model ``double`` (``2 x + 1``) and its steps."""
    write(folder / "reading", {"pipeline.yaml": READING, "steps.py": STEPS})
    (folder / "reading" / "double" / "1").mkdir(parents=True)
    affine(folder / "reading" / "double" / "1" / "double.onnx")
    return folder


def everything(folder):
    """Write ``reading``, ``whole`` that asks it, ``same`` as ``double``, and ``telling`` as ``teller``."""
    reading(folder)
    write(folder, {
        "same/pipeline.yaml": SAME, "same/steps.py": STEPS,
        "whole/1/pipeline.yaml": WHOLE,
        "telling/pipeline.yaml": TELLING, "telling/steps.py": STEPS,
        "teller/model.yaml": "runtime: python\nclass: telling:Teller\ntask: generate\n",
        "teller/1/telling.py": TELLER,
    })  # fmt: skip
    return folder
