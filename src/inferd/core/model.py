"""The class a user derives from to serve Python code: the four verbs of the field.

It holds no logic and imports nothing heavy: the adapter that reads its declarations and calls its
methods is ``inferd.runtimes.python``. ``preprocess`` and ``postprocess`` see one request,
``predict`` sees a batch::

    from typing import Annotated
    import numpy as np
    from inferd import Model

    class Sum(Model):
        def predict(
            self, x: Annotated[np.ndarray, "float32", (-1, 4)]
        ) -> Annotated[np.ndarray, "float32", (-1,)]:
            return x.sum(axis=1)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar


class Model:
    """Base of Python models. Only ``predict`` must be defined.

    ``inputs`` and ``outputs`` declare the signature as ``{name: (dtype, shape)}`` with ``-1`` for
    free axes and the batch on axis 0, for example ``{"x": ("float32", [-1, 4])}``. They may be left
    out where type hints or ``model.yaml`` say it. ``parameters`` of ``model.yaml`` are passed to
    the constructor by name.

    A method whose parameters are named after inputs is given those inputs; a single parameter of
    another name is given all of them as a dict of name to array.
    """

    inputs: ClassVar[Mapping[str, Any] | None] = None
    outputs: ClassVar[Mapping[str, Any] | None] = None

    def load(self, path: Path) -> None:
        """Load what ``predict`` needs, once, before the first request.

        ``path``: the artifact that ``model.yaml`` names, else the version's directory.
        """

    def preprocess(self, inputs: Any) -> Any:
        """Turn one request (its arrays, batch on axis 0) into what ``predict`` takes."""
        return inputs

    def predict(self, inputs: Any) -> Any:
        """Answer a batch: return an array, a list, or a dict of output name to either.

        Row ``i`` of every output answers row ``i`` of the inputs. A generator streams.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define predict")

    def postprocess(self, outputs: Any) -> Any:
        """Turn what ``predict`` returned for one request into its answer."""
        return outputs
