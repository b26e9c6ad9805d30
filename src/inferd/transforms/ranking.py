"""Ranked classes after the model: ``top_k``, ``sort`` and ``threshold``.

``top_k`` and ``sort`` turn one tensor of scores into two that belong together, ``index`` and
``score``; the drafts remember that, so that ``labels`` names the first and ``threshold`` cuts both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from inferd.core.tensor import BOOL, INT64, Tensors
from inferd.transforms.draft import Axis, Draft, Flow, swap
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
from inferd.transforms.parameter import NUMBER, POSITIVE, Args, Parameter, StepError, choice
from inferd.transforms.scores import AXIS, check_scores, class_axis, may_be_scores

_PARTITION_FROM = 1024


def ranked(x: np.ndarray, k: int, axis: int, *, descending: bool = True) -> np.ndarray:
    """Return the indices of the ``k`` largest (or smallest) along ``axis``, in order; NaN last.

    Of equal scores the lower class comes first (where ``k`` of very many are taken, of those kept).
    """
    if k == 1:
        best = np.expand_dims(x.argmax(axis) if descending else x.argmin(axis), axis)
        if x.dtype.kind != "f" or not np.isnan(np.take_along_axis(x, best, axis)).any():
            return best
    key = _key(x, descending=descending)
    if x.shape[axis] < _PARTITION_FROM or k * 4 > x.shape[axis]:
        return np.argsort(key, axis=axis, kind="stable").take(np.arange(k), axis=axis)
    kept = np.sort(np.argpartition(key, k - 1, axis=axis).take(np.arange(k), axis=axis), axis=axis)
    order = np.argsort(np.take_along_axis(key, kept, axis), axis=axis, kind="stable")
    return np.take_along_axis(kept, order, axis)


def _key(x: np.ndarray, *, descending: bool) -> np.ndarray:
    if not descending:
        return x
    # whole numbers are reflected without overflow; -1 - x reverses the order of each such type
    return ~x if x.dtype.kind in "iub" else -x


def pairs(flow: Flow, named: str | None) -> list[tuple[str, str]]:
    """Return (classes, scores) that belong together; of ``named`` only, if given."""
    found = [(n, d.scores) for n, d in flow.items() if d.scores is not None and d.scores in flow]
    return [p for p in found if named is None or named in p]


@dataclass(slots=True)
class Ranking:
    """``top_k`` (``k`` given) and ``sort`` (all classes): scores become classes and scores."""

    args: Args
    axis: int
    k: int | None
    descending: bool = True

    def source(self, wanted: Flow) -> Flow:
        """Steps after the model change nothing before it."""
        return wanted

    def bind(self, given: Flow) -> Bound:
        """Rank each tensor of scores, or put ranked pairs in another order."""
        there = pairs(given, self.args["input"])
        if there:
            return self._reordered(given, there)
        names = pick(given, self.args["input"], lambda d: may_be_scores(d, self.axis))
        work: list[tuple[str, str, str, int]] = []
        touches: list[tuple[str, int]] = []
        flow = given
        for src in names:
            draft = given[src]
            check_scores(draft)
            axis = class_axis(draft, self.axis)
            classes = draft.shape[axis]
            if self.k is not None and 0 <= classes < self.k:
                raise StepError(f"k: {self.k} is more than the {classes} classes of {src!r}")
            index, score = self._names(flow, src, alone=len(names) == 1)
            axes = list(draft.known)
            axes[axis] = Axis(self.k) if self.k else axes[axis]
            both = replace(draft, axes=tuple(axes), along=axis)
            flow = swap(flow, src, {
                index: replace(both, name=index, dtype=INT64, classes=classes, scores=score),
                score: replace(both, name=score),
            })  # fmt: skip
            work.append((src, index, score, axis))
            touches.append((src, axis))
        return Bound(flow, self._apply(work), tuple(touches))

    def _names(self, flow: Flow, src: str, *, alone: bool) -> list[str]:
        prefix = self.args["output"]
        names = ["index", "score"]
        if prefix is None:
            return derived(flow, src, tuple(names), alone=alone)
        made = [f"{prefix}_{n}" for n in names]
        if not alone or any(n in flow and n != src for n in made):
            raise StepError(
                f"output: {prefix!r} cannot name several results; use one step for each"
            )
        return made

    def _apply(self, work: list[tuple[str, str, str, int]]) -> Apply:
        def apply(tensors: Tensors) -> None:
            for src, index, score, axis in work:
                x = tensors.pop(src)
                k = x.shape[axis] if self.k is None else self.k
                if k > x.shape[axis]:
                    raise ValueError(f"{src!r} has {x.shape[axis]} classes, fewer than {k}")
                order = ranked(x, k, axis, descending=self.descending)
                tensors[index] = order.astype(np.int64, copy=False)
                tensors[score] = np.take_along_axis(x, order, axis)

        return apply

    def _reordered(self, flow: Flow, there: list[tuple[str, str]]) -> Bound:
        if self.args["output"] is not None:
            raise StepError("output: ranked classes keep their names")
        axes = {score: flow[name].along or 1 for name, score in there}
        result = dict(flow)
        for pair in there if self.k is not None else ():
            for name in pair:
                result[name] = self._shortened(flow[name], axes[pair[1]])

        def apply(tensors: Tensors) -> None:
            for score, axis in axes.items():
                x = tensors[score]
                k = x.shape[axis] if self.k is None else min(self.k, x.shape[axis])
                order = ranked(x, k, axis, descending=self.descending)
                for name in (score, *(n for n, s in there if s == score)):
                    tensors[name] = np.take_along_axis(tensors[name], order, axis)

        return Bound(result, apply, tuple(axes.items()))

    def _shortened(self, draft: Draft, axis: int) -> Draft:
        size, k = draft.shape[axis], self.k or 0
        if 0 <= size < k:
            raise StepError(f"k: {k} is more than the {size} ranked classes there are")
        axes = list(draft.known)
        axes[axis] = Axis(k if size >= 0 else -1)
        return replace(draft, axes=tuple(axes))


@dataclass(slots=True)
class Threshold:
    """Ranked classes below it are left out; plain scores become true or false."""

    args: Args
    value: float

    def source(self, wanted: Flow) -> Flow:
        """Steps after the model change nothing before it."""
        return wanted

    def bind(self, given: Flow) -> Bound:
        """Cut pairs where there are any, else compare."""
        there = pairs(given, self.args["input"])
        if self.args["output"] is not None:
            raise StepError("output: the names stay as they are")
        if not there:
            return self._compared(given)
        for name, _ in there:
            if len(given[name].known) != 2:
                raise StepError(
                    f"needs one list of classes per example, but {name!r} is {given[name].text()}"
                )
        flow = dict(given)
        scores = dict.fromkeys(score for _, score in there)
        groups = [(s, (s, *(n for n, own in there if own == s))) for s in scores]
        for _, names in groups:
            for name in names:
                flow[name] = replace(given[name], axes=(given[name].known[0], Axis()))

        def apply(tensors: Tensors) -> None:
            for score, names in groups:
                # one row at a time: rows keep unequal numbers of classes
                kept = tensors[score][0] >= self.value
                for name in names:
                    tensors[name] = tensors[name][:, kept]

        return Bound(flow, apply, tuple((s, 1) for s in scores), ragged=True)

    def _compared(self, given: Flow) -> Bound:
        names = pick(given, self.args["input"], lambda d: d.floating)
        flow = dict(given)
        for name in names:
            check_scores(given[name])
            flow[name] = replace(given[name], dtype=BOOL)

        def apply(tensors: Tensors) -> None:
            for name in names:
                tensors[name] = np.asarray(tensors[name] >= self.value)

        return Bound(flow, apply)


def _top_k(args: Args, context: Context) -> Operation:
    return Ranking(args, context.axis(args["axis"]), args["k"])


def _sort(args: Args, context: Context) -> Operation:
    return Ranking(args, context.axis(args["axis"]), None, args["order"] == "descending")


def _threshold(args: Args, _context: Context) -> Operation:
    return Threshold(args, args["value"])


_SPEC = (
    "`index` (INT64) and `score` take the place of the scores; where one of these names is taken, "
    "the tensor's name and `_` come before."
)

TRANSFORMS = (
    Transform(
        "top_k", POSTPROCESS, BATCH,
        "Keep the classes with the largest scores, best first.",
        _top_k, "top_k: 3", _SPEC,
        (Parameter("k", POSITIVE, "how many classes", required=True), AXIS),
        ("k",),
    ),
    Transform(
        "sort", POSTPROCESS, BATCH,
        "Put all classes in the order of their scores. After `top_k`, put those in another order.",
        _sort, "sort: descending", _SPEC,
        (
            Parameter(
                "order", choice("descending", "ascending"), "which scores come first", "descending"
            ),
            AXIS,
        ),
        ("order",),
    ),
    Transform(
        "threshold", POSTPROCESS, BATCH,
        "After `top_k` or `sort`, leave out classes whose score is lower. Plain scores become "
        "true where they are at least the value.",
        _threshold, "threshold: 0.2",
        "Ranked classes: a free number of them per example. Plain scores: BOOL.",
        (Parameter("value", NUMBER, "the least score", required=True),),
        ("value",),
    ),
)  # fmt: skip
"""The rows of the registry kept in this file."""
