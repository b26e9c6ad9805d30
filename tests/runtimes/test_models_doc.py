"""The examples of docs/models.md are loaded and run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from inferd.repository.modelfile import read_modelfile, spec_fields
from inferd.runtimes.python import PythonRuntime
from inferd.runtimes.signatures import trial_inputs

TEXT = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("code", PYTHON, ids=[re.findall(r"class (\w+)", c)[0] for c in PYTHON])
def test_python_examples(tmp_path, code):
    path = tmp_path / "example.py"
    path.write_text(code)
    runtime = PythonRuntime()
    signature = runtime.load(path, {"directory": str(tmp_path)})

    inputs = trial_inputs(signature, rows=3)
    outputs = runtime.run(runtime.preprocess(inputs) if runtime.preprocess else inputs)
    outputs = runtime.postprocess(outputs) if runtime.postprocess else outputs

    assert signature.batched and [s.name for s in signature.outputs] == list(outputs)
    assert all(isinstance(a, np.ndarray) and a.shape[0] == 3 for a in outputs.values())


@pytest.mark.parametrize("text", YAML, ids=range(len(YAML)))
def test_yaml_examples(tmp_path, text):
    path = tmp_path / "model.yaml"
    path.write_text(text)
    assert spec_fields(read_modelfile(path))
