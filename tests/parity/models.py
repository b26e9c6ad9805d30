"""The models of the parity tests, written as a repository: echoes of every datatype and rank.

``echo-fp32`` and its like answer ``x`` as ``y``, rows of any length; ``scalar-fp32`` takes and gives one
value without a batch; ``rank1``, ``rank3`` echo arrays of other ranks, ``fixed`` rows of three. ``every``
echoes an input of each datatype; ``several`` and ``pair`` have inputs and outputs of several kinds;
In ``optional``
``plus`` may be left out. ``gives-fp16`` and ``gives-bytes`` answer what not every protocol can write. The others behave: they fail, wait, generate, embed, or cannot be loaded at all.
"""

import textwrap

DATATYPES = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16",
    "FP32", "FP64", "BYTES",
)  # fmt: skip
_ROWS = ({"x": ("FP32", (-1, -1))}, {"y": ("FP32", (-1, -1))})

SIGNATURES = {
    **{f"echo-{d.lower()}": ({"x": (d, (-1, -1))}, {"y": (d, (-1, -1))}) for d in DATATYPES},
    **{f"scalar-{d.lower()}": ({"x": (d, ())}, {"y": (d, ())}) for d in DATATYPES},
    "rank1": ({"x": ("FP32", (-1,))}, {"y": ("FP32", (-1,))}),
    "rank3": ({"x": ("FP32", (-1, -1, -1))}, {"y": ("FP32", (-1, -1, -1))}),
    "fixed": ({"x": ("FP32", (-1, 3))}, {"y": ("FP32", (-1, 3))}),
    "every": (
        {d.lower(): (d, (-1, -1)) for d in DATATYPES},
        {f"{d.lower()}_out": (d, (-1, -1)) for d in DATATYPES},
    ),
    "several": (
        {"a": ("FP32", (-1, 2)), "b": ("INT64", (-1, 3))},
        {"sum": ("FP32", (-1,)), "twice": ("INT64", (-1, 3)), "name": ("BYTES", (-1,))},
    ),
    "pair": (
        {"a": ("FP64", (-1, 1)), "b": ("INT64", (-1, 1))},
        {"half": ("FP64", (-1, 1)), "next": ("INT64", (-1, 1))},
    ),
    "optional": ({"x": ("FP64", (-1, 1)), "plus": ("INT64", (-1, 1))}, {"y": ("FP64", (-1, 1))}),
    "gives-fp16": ({"x": ("FP32", (-1, -1))}, {"y": ("FP16", (-1, 1))}),
    "gives-bytes": ({"x": ("FP32", (-1, -1))}, {"y": ("BYTES", (-1, 1))}),
    "versioned": _ROWS,
    "fails": _ROWS,
    "slow": _ROWS,
    "held": _ROWS,
    "broken": _ROWS,
    "teller": ({"prompt": ("BYTES", (-1,))}, {"text": ("BYTES", (-1,))}),
    "hears": ({"audio": ("BYTES", (-1,))}, {"text": ("BYTES", (-1,))}),
    "embeds": ({"text": ("BYTES", (-1,))}, {"vector": ("FP32", (-1, 4))}),
}
"""Inputs and outputs of each model: name to (datatype, shape). Without axes: not batched."""

PROCESSES = ("every", "held", "slow", "fails", "teller", "hears", "embeds", "echo-fp32")
"""Models with a worker of their own; the rest run inside the server, to start in little time."""

_DEFAULTS = {"plus": ", default: 7"}
_MORE = {
    "teller": "task: generate\nversion_labels: {stable: 1}\nbatching: {max_size: 2}\n",
    "hears": "task: transcribe\nversion_labels: {stable: 1}\nbatching: {max_size: 2}\n",
    "embeds": "task: embed\nversion_labels: {stable: 1}\nbatching: {max_size: 1}\n",
    "held": "batching: {max_size: 1}\n",
    "versioned": "version_labels: {stable: 1, canary: 2}\n",
}

SAID = "no such luck"
"""What models say when they fail."""

CODE = textwrap.dedent(
    """
    import json
    import time
    from pathlib import Path

    import numpy as np

    from inferd import Model

    HERE = Path(__file__).parent


    def held(what):
        with (HERE / "runs").open("a") as runs:
            runs.write(f"{what}\\n")
        end = time.monotonic() + 20
        while (HERE / "hold").exists() and time.monotonic() < end:
            time.sleep(0.002)


    class Echo(Model):
        def predict(self, x):
            return {"y": x}


    class Every(Model):
        def predict(self, inputs):
            return {name + "_out": array for name, array in inputs.items()}


    class Several(Model):
        def predict(self, a, b):
            names = [str(row[0]) for row in b.tolist()]
            return {"sum": a.sum(axis=1), "twice": b * 2, "name": names}


    class Pair(Model):
        def predict(self, a, b):
            return {"half": a / 2, "next": b + 1}


    class Optional(Model):
        def predict(self, x, plus):
            return x + plus


    class GivesHalves(Model):
        def predict(self, x):
            return np.full((len(x), 1), 0.5, np.float16)


    class GivesBytes(Model):
        def predict(self, x):
            return [[b"\\xff\\x00\\xfe"] for _ in x]


    class Versioned(Model):
        def load(self, path):
            self.plus = np.float32(Path(path).name)

        def predict(self, x):
            return x + self.plus


    class Fails(Model):
        def predict(self, x):
            if x.size and x.max() > 1000:
                raise ValueError("no such luck")
            return x


    class Slow(Model):
        def predict(self, x):
            if x.size and x.max() > 1000:
                time.sleep(0.2)
            return x


    class Held(Model):
        def predict(self, x):
            held(float(x.ravel()[0]) if x.size else "")
            return x


    class Broken(Model):
        def load(self, path):
            raise ValueError("its weights are lost")

        def predict(self, x):
            return x


    class Embeds(Model):
        def predict(self, text):
            (word,) = text.tolist()
            if word == b"fail":
                raise ValueError("no such luck")
            if word == b"slow":
                time.sleep(0.2)
            held(word.decode())
            return np.array([list((word + bytes(4))[:4])], np.float32) / 7


    def told(prompt):
        # A chat makes a prompt of its conversation.
        word = prompt[0].decode().removeprefix("user: ").partition("\\n")[0]
        if word == "early":
            raise ValueError("no such luck")
        given, endless = 0, word.startswith("endless")
        if endless:
            (HERE / f"{word}-began").touch()
        try:
            for number in range(100000 if endless else 4):
                if word == "late" and number == 2:
                    raise ValueError("no such luck")
                given += 1
                yield f"{word} {number};"
                if endless:
                    time.sleep(0.001)
        finally:
            if endless:
                (HERE / word).write_text(str(given))


    class Teller(Model):
        def predict(self, prompt, parameters=None):
            yield from told(prompt)


    class Hears(Model):
        def predict(self, audio, parameters=None):
            yield from told(audio)
    """
)


def write(folder):
    """Write the repository; return its path."""
    for name, (inputs, outputs) in SIGNATURES.items():
        batched = str(all(shape for _, shape in inputs.values())).lower()
        cls = "Echo" if "x" in inputs and "y" in outputs else ""
        own = {"gives-fp16": "GivesHalves", "gives-bytes": "GivesBytes"}.get(
            name, name.capitalize()
        )
        cls = own if f"class {own}(" in CODE else cls
        lines = ["runtime: python", f"class: code:{cls}", f"{_MORE.get(name, '')}instances: 1"]
        if name not in PROCESSES:
            lines.append("executor: inline")
        lines += ["signature:", f"  batched: {batched}"]
        for key, specs in (("inputs", inputs), ("outputs", outputs)):
            rows = (
                f"{{name: {n}, dtype: {d}, shape: {list(s)}{_DEFAULTS.get(n, '')}}}"
                for n, (d, s) in specs.items()
            )
            lines.append(f"  {key}: [{', '.join(rows)}]")
        for version in (1, 2) if name == "versioned" else (1,):
            place = folder / name / str(version)
            place.mkdir(parents=True)
            (place / "code.py").write_text(CODE)
        (folder / name / "model.yaml").write_text("\n".join(lines) + "\n")
    return folder
