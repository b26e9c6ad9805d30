"""The queue of one model version and the choice of the next batch: synchronous, no clock of its own.

Requests wait in *lanes*, one per (priority, batch key). The oldest waiting request leads the next
batch: later steps of requests that were admitted already first (whoever admits them bounds how many there
are), then those of high priority; after ``FAIR`` batches led by high ones in a row a normal one leads,
so that neither class starves. The lane then fills the batch:

- without padding, in order of arrival, up to the limit of rows;
- where ``pad`` fills a ragged axis, the leader and its neighbours in length, nearest first, as long
  as real over padded elements stays at ``FILL`` or more. The leader is always the oldest, so no
  length starves. Where at most ``FEW`` wait and all of them make one batch at ``FILL_OF_FEW``, they
  do: padding then costs less than the further runs that it saves. Where a configured delay held
  them back so that they may share a batch, ``FILL_OF_HELD`` is enough.

``discard`` takes an entry out at once for all counts; a lane in order of arrival forgets it when it
meets it, or when half of what it holds is dead, so that cancelled work never fills the memory.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Iterator

from inferd.core.message import ADMITTED, HIGH, NORMAL
from inferd.execution.executor import Entry

FILL = 0.8
FEW = 8
FILL_OF_FEW = 0.6
FILL_OF_HELD = 0.25
FAIR = 4
FIRST_TO_LAST = (ADMITTED, HIGH, NORMAL)
DEAD_MIN = 64


class FifoLane:
    """Entries in order of arrival."""

    __slots__ = ("_dead", "_order")

    def __init__(self) -> None:
        self._order: deque[Entry] = deque()
        self._dead = 0

    def push(self, entry: Entry) -> None:
        """Add as the newest."""
        self._order.append(entry)

    def push_front(self, entry: Entry) -> None:
        """Add as the oldest."""
        self._order.appendleft(entry)

    def discard(self, entry: Entry) -> None:
        """Skip it when met; sweep once half of the lane is dead."""
        self._dead += 1
        if self._dead > DEAD_MIN and 2 * self._dead > len(self._order):
            self._order = deque(self)
            self._dead = 0

    def oldest(self) -> Entry | None:
        """Return the oldest entry that still waits."""
        order = self._order
        while order and not order[0].queued:
            order.popleft()
            self._dead -= 1
        return order[0] if order else None

    def take(self, limit: int, *, strict: bool) -> list[Entry]:
        """Take from the front up to ``limit`` rows; unless ``strict``, at least one entry."""
        batch: list[Entry] = []
        rows = 0
        order = self._order
        while order:
            entry = order[0]
            if entry.queued:
                rows += entry.rows
                if rows > limit and (batch or strict):
                    break
                batch.append(entry)
            else:
                self._dead -= 1
            order.popleft()
        return batch

    def __iter__(self) -> Iterator[Entry]:
        return (e for e in self._order if e.queued)


class RaggedLane:
    """Entries in order of arrival and by length."""

    __slots__ = ("_few", "_lengths", "_order")

    def __init__(self, few: float = FILL_OF_FEW) -> None:
        self._few = few
        self._order: OrderedDict[int, Entry] = OrderedDict()
        self._lengths: list[tuple[int, int]] = []

    def push(self, entry: Entry) -> None:
        """Add as the newest."""
        self._order[entry.seq] = entry
        insort(self._lengths, (entry.length, entry.seq))

    def push_front(self, entry: Entry) -> None:
        """Add as the oldest."""
        self.push(entry)
        self._order.move_to_end(entry.seq, last=False)

    def discard(self, entry: Entry) -> None:
        """Forget an entry."""
        if self._order.pop(entry.seq, None) is not None:
            del self._lengths[bisect_left(self._lengths, (entry.length, entry.seq))]

    def oldest(self) -> Entry | None:
        """Return the oldest entry."""
        return next(iter(self._order.values()), None)

    def take(self, limit: int, *, strict: bool) -> list[Entry]:
        """Take the oldest and its neighbours in length, nearest first, at a fill of ``FILL``."""
        lead = self.oldest()
        if lead is None or (strict and lead.rows > limit):
            return []
        lengths = self._lengths
        low = bisect_left(lengths, (lead.length, lead.seq))
        high = low + 1
        low -= 1
        least = self._few if len(lengths) <= FEW and self._even_enough(limit) else FILL
        batch = [lead]
        rows, real, widest = lead.rows, lead.rows * lead.length, lead.length
        while rows < limit and (low >= 0 or high < len(lengths)):
            below = lead.length - lengths[low][0] if low >= 0 else None
            above = lengths[high][0] - lead.length if high < len(lengths) else None
            shorter = above is None or (below is not None and below <= above)
            entry = self._order[lengths[low if shorter else high][1]]
            longest = max(widest, entry.length)
            total = real + entry.rows * entry.length
            if rows + entry.rows > limit or total < least * longest * (rows + entry.rows):
                low, high = (-1, high) if shorter else (low, len(lengths))  # this side is done
                continue
            low, high = (low - 1, high) if shorter else (low, high + 1)
            batch.append(entry)
            rows, real, widest = rows + entry.rows, total, longest
        for entry in batch:
            self.discard(entry)
        return batch

    def _even_enough(self, limit: int) -> bool:
        """Whether all that waits makes one batch at the fill that is enough for few."""
        rows = sum(e.rows for e in self._order.values())
        real = sum(e.rows * e.length for e in self._order.values())
        return rows <= limit and real >= self._few * rows * self._lengths[-1][0]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._order.values())


class EntryQueue:
    """All requests of one model version that wait for a place in a batch.

    ``ragged``: a padded axis, so neighbours in length share batches. ``held``: a configured delay
    holds requests back.
    """

    def __init__(self, *, ragged: bool = False, held: bool = False) -> None:
        self.entries = 0
        self.rows = 0
        self.nbytes = 0
        self._ragged = ragged
        self._few = FILL_OF_HELD if held else FILL_OF_FEW
        self._lanes: dict[tuple[int, object], FifoLane | RaggedLane] = {}
        self._suspects: deque[Entry] = deque()
        self._seq = 0
        self._front = 0
        self._high_run = 0

    def __len__(self) -> int:
        return self.entries

    @property
    def suspects(self) -> bool:
        """Whether an entry waits that must run alone."""
        while self._suspects and not self._suspects[0].queued:
            self._suspects.popleft()
        return bool(self._suspects)

    def push(self, entry: Entry) -> None:
        """Add at the end of its lane."""
        self._seq += 1
        entry.seq = self._seq
        self._enter(entry)
        lane = self._lanes.get((entry.priority, entry.layout.key))
        (lane or self._lane(entry)).push(entry)

    def push_front(self, entries: list[Entry]) -> None:
        """Put entries back before all others, keeping their order (after a worker was lost)."""
        for entry in reversed(entries):
            self._front -= 1
            entry.seq = self._front
            self._enter(entry)
            if entry.suspect:
                self._suspects.appendleft(entry)
            else:
                self._lane(entry).push_front(entry)

    def discard(self, entry: Entry) -> None:
        """Take out an entry that was cancelled or expired; one that does not wait is ignored."""
        if entry.queued:
            self._leave(entry)
            lane = self._lanes.get((entry.priority, entry.layout.key))
            if entry.suspect:
                self._suspects.remove(entry)
            elif lane is not None:
                lane.discard(entry)

    def _lane(self, entry: Entry) -> FifoLane | RaggedLane:
        key = (entry.priority, entry.layout.key)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = RaggedLane(self._few) if self._ragged else FifoLane()
        return lane

    def _enter(self, entry: Entry) -> None:
        entry.queued = True
        self.entries += 1
        self.rows += entry.rows
        self.nbytes += entry.nbytes

    def _leave(self, entry: Entry) -> None:
        entry.queued = False
        self.entries -= 1
        self.rows -= entry.rows
        self.nbytes -= entry.nbytes

    def take_suspect(self) -> Entry | None:
        """Take the next entry that must run alone."""
        if not self.suspects:
            return None
        entry = self._suspects.popleft()
        self._leave(entry)
        return entry

    def oldest(self) -> Entry | None:
        """Return the entry that leads the next batch, without taking it."""
        lanes = self._lanes
        if len(lanes) == 1:  # the usual case: one priority, one key
            for lane in lanes.values():
                found = lane.oldest()
            return found
        heads: dict[int, Entry] = {}
        for key in list(lanes):
            head = lanes[key].oldest()
            if head is None:
                del lanes[key]
                continue
            first = heads.get(head.priority)
            if first is None or head.seq < first.seq:
                heads[head.priority] = head
        admitted, high, normal = (heads.get(priority) for priority in FIRST_TO_LAST)
        if admitted is not None:
            return admitted
        if high is not None and (self._high_run < FAIR or normal is None):
            return high
        return normal

    def take(self, limit: int) -> list[Entry]:
        """Take the next batch of at most ``limit`` rows (a single larger entry goes alone)."""
        lead = self.oldest()
        if lead is None:
            return []
        priority, key = lead.priority, lead.layout.key
        if priority != ADMITTED:
            self._high_run = self._high_run + 1 if priority == HIGH else 0
        batch = self._lanes[priority, key].take(1 if key is None else limit, strict=False)
        if key is not None and not self._ragged and len(self._lanes) > 1:
            self._fill(batch, priority, key, limit)
        for entry in batch:
            self._leave(entry)
        return batch

    def _fill(self, batch: list[Entry], priority: int, key: object, limit: int) -> None:
        """Give what room is left to those of other priorities."""
        room = limit - sum(e.rows for e in batch)
        for other in FIRST_TO_LAST:
            lane = self._lanes.get((other, key)) if other != priority else None
            if lane is not None and room > 0:
                more = lane.take(room, strict=True)
                room -= sum(e.rows for e in more)
                batch += more

    def waiting(self) -> Iterator[Entry]:
        """Yield every entry that waits."""
        for lane in self._lanes.values():
            yield from lane
        yield from (e for e in self._suspects if e.queued)

    def clear(self) -> list[Entry]:
        """Empty the queue and return who waited."""
        out = list(self.waiting())
        for entry in out:
            self._leave(entry)
        self._lanes.clear()
        self._suspects.clear()
        return out
