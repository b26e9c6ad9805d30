"""A small pipeline for containers: two ONNX models, Python between them, and one model that streams.

``chain`` answers ``2 x + 4``: each of its steps does a part, so an answer names its request and says
that every step ran. ``story`` streams words; ``acts`` is the model of the tests of faults.
"""

import textwrap

from tests.system import models

STEPS = textwrap.dedent(
    """
    from typing import Annotated

    import numpy as np

    Row = Annotated[np.ndarray, "float32", (4,)]


    def halve(y: Row) -> Row:
        return y / np.float32(2)
    """
)

STORY = textwrap.dedent(
    """
    import time
    from collections.abc import Iterator

    from inferd import Model


    class Story(Model):
        def predict(self, prompt: str, words: int = 5, seconds: float = 0.0) -> Iterator[str]:
            for number in range(words):
                time.sleep(seconds)
                yield f"{prompt}{number} "
    """
)

CHAIN = textwrap.dedent(
    """
    description: 2 x + 4, step by step
    inputs:
      x: {dtype: float32, shape: [4]}
    steps:
      first: {model: double, inputs: {x: x}}
      middle: {python: "steps:halve", inputs: {y: first.y}}
      last: {model: shift, inputs: {x: middle.output}}
    outputs:
      y: last.y
    """
)


def write(folder):
    """Write the repository; return it."""
    for name, plus in (("double", 1.0), ("shift", 3.0)):
        version = folder / name / "1"
        version.mkdir(parents=True)
        models.affine(version / f"{name}.onnx", plus)
    (folder / "chain").mkdir()
    (folder / "chain" / "pipeline.yaml").write_text(CHAIN)
    (folder / "chain" / "steps.py").write_text(STEPS)
    (folder / "story" / "1").mkdir(parents=True)
    (folder / "story" / "1" / "telling.py").write_text(STORY)
    (folder / "story" / "model.yaml").write_text("runtime: python\nclass: telling:Story\n")
    return models.acts(folder, broken="/tmp/broken", more=["instances: 1"])


def expected(values):
    """Return the right answer of ``chain``."""
    return [2 * v + 4 for v in values]
