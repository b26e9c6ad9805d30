from __future__ import annotations

from pathlib import Path

import pytest

from inferd import Model


def test_every_verb_but_predict_has_a_default():
    model = Model()

    assert model.load(Path()) is None
    assert model.preprocess(1) == 1 and model.postprocess(2) == 2
    with pytest.raises(NotImplementedError, match="Model does not define predict"):
        model.predict(1)
