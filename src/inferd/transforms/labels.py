"""``labels``: the names of classes in the place of their numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from inferd.core.tensor import BOOL, BYTES, Tensors
from inferd.transforms.draft import Axis, Draft, Flow, swap
from inferd.transforms.files import read_labels
from inferd.transforms.operation import (
    BATCH,
    POSTPROCESS,
    Apply,
    Bound,
    Context,
    Operation,
    Transform,
    derived,
    pick,
)
from inferd.transforms.parameter import LIST, TEXT, Args, Parameter, StepError


@dataclass(slots=True)
class Labels:
    """Class numbers become labels; true and false per class become the labels of the true ones.

    ``table``: labels as bytes, by class number. ``origin``: how messages call them.
    """

    args: Args
    table: np.ndarray
    origin: str

    def source(self, wanted: Flow) -> Flow:
        """Steps after the model change nothing before it."""
        return wanted

    def bind(self, given: Flow) -> Bound:
        """Find the tensors that hold classes and replace each."""
        names = self._targets(given)
        flow = given
        work: list[tuple[str, str, bool]] = []
        ragged = False
        touches: list[tuple[str, int]] = []
        for src in names:
            draft = flow[src]
            several = self._several(draft)
            self._check(draft, several=several)
            dst = self._name(flow, src, alone=len(names) == 1)
            axes = draft.known
            if several:
                axes = (axes[0], Axis())
                ragged = True
                touches.append((src, 1))
            after = replace(draft, name=dst, dtype=BYTES, axes=axes, content="text", classes=None)
            flow = swap(flow, src, {dst: after})
            work.append((src, dst, several))
        return Bound(flow, self._apply(work), tuple(touches), ragged)

    def _targets(self, flow: Flow) -> list[str]:
        def classes(draft: Draft) -> bool:
            return draft.classes is not None

        def numbers(draft: Draft) -> bool:
            return draft.integer or draft.dtype is BOOL

        if self.args["input"] is None and any(classes(d) for d in flow.values()):
            return [n for n, d in flow.items() if classes(d)]
        return pick(flow, self.args["input"], numbers)

    def _several(self, draft: Draft) -> bool:
        shape = draft.shape
        return draft.dtype is BOOL and len(shape) == 2 and shape[1] == len(self.table) != 1

    def _check(self, draft: Draft, *, several: bool) -> None:
        count = len(self.table)
        if draft.dtype is BYTES or draft.floating:
            raise StepError(
                f"needs class numbers, but {draft.name!r} is {draft.text()}",
                help="put argmax, top_k or threshold before it",
            )
        if draft.dtype is BOOL and not several and count != 2:
            raise StepError(f"{self.origin} for {draft.text()}: there must be one for each, or two")
        if draft.classes is not None and draft.classes >= 0 and draft.classes != count:
            raise StepError(f"{self.origin}, but the model has {draft.classes} classes")

    def _name(self, flow: Flow, src: str, *, alone: bool) -> str:
        named: str | None = self.args["output"]
        if named is not None:
            if not alone or (named in flow and named != src):
                raise StepError(f"output: the name {named!r} is taken")
            return named
        if src == "index":
            return derived(flow, src, ("label",))[0] if "label" in flow else "label"
        if src.endswith("_index") and flow[src].classes is not None:
            name = src.removesuffix("index") + "label"
            return src if name in flow else name
        return src

    def _apply(self, work: list[tuple[str, str, bool]]) -> Apply:
        def apply(tensors: Tensors) -> None:
            for src, dst, several in work:
                x = tensors.pop(src)
                # several: one row at a time, for rows have unequal numbers of true classes
                tensors[dst] = self.table[np.flatnonzero(x[0])][None] if several else self._named(x)

        return apply

    def _named(self, x: np.ndarray) -> np.ndarray:
        if x.dtype == np.bool_:
            x = x.astype(np.int64)
        if x.size and (int(x.min()) < 0 or int(x.max()) >= len(self.table)):
            worst = x.max() if int(x.max()) >= len(self.table) else x.min()
            raise ValueError(f"class {worst} has no label; there are {self.origin}")
        # indexed flat, so that a single class gives an array as well
        return np.asarray(self.table[x.reshape(-1)]).reshape(x.shape)


def _labels(args: Args, context: Context) -> Operation:
    if (args["file"] is None) == (args["values"] is None):
        raise StepError("give file or values, one of them")
    if args["file"] is not None:
        labels = read_labels(context.directory, args["file"], "file")
        origin = f"{len(labels)} labels in {args['file']!r}"
    else:
        labels = [str(v) for v in args["values"]]
        origin = f"{len(labels)} labels"
    table = np.empty(len(labels), object)
    table[:] = [label.encode() for label in labels]
    return Labels(args, table, origin)


TRANSFORMS = (
    Transform(
        "labels", POSTPROCESS, BATCH,
        "Name the classes. Works on what `argmax`, `top_k` or `sort` found, else on outputs of "
        "whole numbers; after `threshold` on plain scores it lists the classes that are true.",
        _labels,
        "labels: labels.txt",
        "BYTES; `index` becomes `label`.",
        (
            Parameter(
                "file", TEXT,
                "a file beside the model: one label a line, or JSON (a list, or an object by class "
                "number; `id2label` of a configuration is found)",
            ),
            Parameter("values", LIST, "the labels themselves"),
        ),
        ("values", "file"),
    ),
)  # fmt: skip
"""The rows of the registry kept in this file."""
