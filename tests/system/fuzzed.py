"""The repository that is fuzzed: numbers, texts, several tensors, lengths, vectors, and a story."""

import textwrap

from tests.system.models import affine, sentences

CODE = {
    "texts": """
        class Served(Model):
            inputs = {"text": ("bytes", [-1])}
            outputs = {"text": ("bytes", [-1])}

            def predict(self, text):
                return [b"<" + each + b">" for each in text.tolist()]
        """,
    "several": """
        class Served(Model):
            inputs = {"a": ("float64", [-1, 2]), "b": ("uint8", [-1]), "c": ("bytes", [-1, 1])}
            outputs = {"sum": ("float64", [-1]), "b": ("int64", [-1, 1]), "c": ("bytes", [-1, 1])}

            def predict(self, a, b, c):
                return {"sum": a.sum(axis=1), "b": b.reshape(-1, 1).astype("int64"), "c": c}
        """,
    "scores": """
        class Served(Model):
            inputs = {"x": ("float16", [-1, -1])}
            outputs = {"scores": ("float32", [-1, 3]), "classes": ("bytes", [-1, 3])}

            def predict(self, x):
                rows = len(x)
                total = np.nan_to_num(x.astype("float32")).sum(axis=1, keepdims=True)
                names = np.array([[b"a", b"b", b"c"]] * rows, object).reshape(rows, 3)
                return {"scores": total * np.arange(3, dtype="float32"), "classes": names}
        """,
    "scalar": """
        class Served(Model):
            batched = False
            inputs = {"flag": ("bool", []), "n": ("int64", [2])}
            outputs = {"n": ("int64", [2])}

            def predict(self, flag, n):
                return {"n": n if flag else n * 0}
        """,
    "embeds": """
        class Served(Model):
            inputs = {"text": ("bytes", [-1])}
            outputs = {"vector": ("float32", [-1, 2])}

            def predict(self, text):
                rows = [[len(each), 1] for each in text.tolist()]
                return np.array(rows, "float32").reshape(-1, 2)
        """,
    "hears": """
        class Served(Model):
            inputs = {"audio": ("bytes", [-1])}
            outputs = {
                "text": ("bytes", [-1]), "segments": ("bytes", [-1, -1]),
                "starts": ("float32", [-1, -1]), "ends": ("float32", [-1, -1]),
            }

            def predict(self, audio):
                for number, byte in enumerate(audio[0][:4]):
                    at = np.array([[number]], "float32")
                    yield {"text": [f" {byte}"], "segments": [[f" {byte}"]], "starts": at, "ends": at + 1}
        """,
    "story": """
        class Served(Model):
            def predict(self, prompt: str, max_tokens: int = 8) -> Iterator[str]:
                told = object()
                LIVE.add(told)
                try:
                    for number in range(min(max_tokens, 500)):
                        if prompt == "slow":
                            time.sleep(0.005)
                        yield f"{number}/{len(LIVE)} "
                finally:
                    LIVE.remove(told)
        """,
}
"""Models in Python by name. A story tells with each piece how many are being told."""

HEAD = """
import time
from collections.abc import Iterator

import numpy as np

from inferd import Model

LIVE = set()


"""
TASKS = {"embeds": "embed", "hears": "transcribe", "story": "generate"}


def repository(folder):
    """Write the repository; return it."""
    sentences(folder)
    (folder / "numbers" / "1").mkdir(parents=True)
    affine(folder / "numbers" / "1" / "numbers.onnx")
    for name, code in CODE.items():
        place = folder / name / "1"
        place.mkdir(parents=True)
        (place / "served.py").write_text(HEAD + textwrap.dedent(code))
        task = f"task: {TASKS[name]}\n" if name in TASKS else ""
        (folder / name / "model.yaml").write_text(f"class: served:Served\n{task}")
    return folder
