"""The queue: none lost, none twice, order kept, limits kept, nobody starved."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.scheduling.entries import entry

from inferd.core.message import ADMITTED, HIGH, NORMAL
from inferd.scheduling.queue import DEAD_MIN, FAIR, FEW, FILL, FILL_OF_FEW, FILL_OF_HELD, EntryQueue

PRIORITIES = st.sampled_from([NORMAL, HIGH, ADMITTED])
KEYS = st.sampled_from([(), (3,), (4,), None])


def fill(batch):
    return sum(e.rows * e.length for e in batch) / (
        max(e.length for e in batch) * sum(e.rows for e in batch)
    )


class QueueRules(RuleBasedStateMachine):
    """Everything that may happen to a queue, in any order, against a plain list."""

    ragged = False

    @initialize(limit=st.integers(1, 8))
    def make(self, limit):
        self.queue = EntryQueue(ragged=self.ragged)
        self.limit = limit
        self.waiting = []  # oldest first
        self.gone = []
        self.suspects = []

    @rule(
        rows=st.integers(1, 12), key=KEYS, priority=PRIORITIES, length=st.integers(1, 40),
        nbytes=st.integers(0, 9),
    )  # fmt: skip
    def push(self, rows, key, priority, length, nbytes):
        length = length if self.ragged else 1
        new = entry(
            1 if key is None else rows, key=key, priority=priority, length=length, nbytes=nbytes
        )
        self.queue.push(new)
        self.waiting.append(new)

    @rule()
    def take(self):
        lead = self.queue.oldest()
        batch = self.queue.take(self.limit)
        if not self.waiting:
            assert batch == [] and lead is None
            return
        assert batch[0] is lead
        self.check_batch(batch)
        assert not any(e.queued for e in batch)
        self.waiting = [e for e in self.waiting if e not in batch]
        self.gone += batch

    def check_batch(self, batch):
        if any(e.priority == ADMITTED for e in self.waiting):
            assert batch[0].priority == ADMITTED
        oldest = next(e for e in self.waiting if e.priority == batch[0].priority)
        assert batch[0] is oldest
        assert len({id(e) for e in batch}) == len(batch)
        assert all(e in self.waiting for e in batch)
        assert {e.layout.key for e in batch} == {batch[0].layout.key}
        assert sum(e.rows for e in batch) <= self.limit or len(batch) == 1
        if batch[0].layout.key is None:
            assert len(batch) == 1
        if self.ragged:
            lane = [
                e for e in self.waiting
                if (e.priority, e.layout.key) == (oldest.priority, oldest.layout.key)
            ]  # fmt: skip
            assert fill(batch) >= (FILL if len(lane) > FEW else FILL_OF_FEW)
            assert len({e.priority for e in batch}) == 1
        else:
            self.check_order(batch)

    def check_order(self, batch):
        """Within a class and key nobody is overtaken."""
        for priority in {e.priority for e in batch}:
            mine = [e for e in batch if e.priority == priority]
            lane = [
                e for e in self.waiting
                if e.priority == priority and e.layout.key == batch[0].layout.key
            ]  # fmt: skip
            assert mine == lane[: len(mine)]

    @rule(data=st.data())
    def discard(self, data):
        if self.waiting:
            chosen = data.draw(st.sampled_from(self.waiting))
            self.queue.discard(chosen)
            self.waiting.remove(chosen)
            assert not chosen.queued
            self.queue.discard(chosen)  # a second time changes nothing

    @rule(data=st.data(), suspect=st.booleans())
    def put_back(self, data, suspect):
        if self.gone:
            back = data.draw(st.lists(st.sampled_from(self.gone), unique_by=id))
            back.sort(key=lambda e: e.seq)
            self.gone = [e for e in self.gone if e not in back]
            for one in back:
                one.suspect = suspect
            self.queue.push_front(back)
            if suspect:
                self.suspects = back + self.suspects
            else:
                self.waiting = back + self.waiting

    @rule()
    def take_suspect(self):
        assert self.queue.suspects == bool(self.suspects)
        found = self.queue.take_suspect()
        if self.suspects:
            assert found is self.suspects.pop(0)
            found.suspect = False
            self.gone.append(found)
        else:
            assert found is None

    @rule(data=st.data())
    def discard_suspect(self, data):
        if self.suspects:
            chosen = data.draw(st.sampled_from(self.suspects))
            self.queue.discard(chosen)
            self.suspects.remove(chosen)

    @rule()
    def clear(self):
        assert sorted(map(id, self.queue.clear())) == sorted(
            map(id, [*self.waiting, *self.suspects])
        )
        self.waiting, self.suspects = [], []

    @invariant()
    def counts_are_right(self):
        everyone = [*self.waiting, *self.suspects]
        assert len(self.queue) == self.queue.entries == len(everyone)
        assert self.queue.rows == sum(e.rows for e in everyone)
        assert self.queue.nbytes == sum(e.nbytes for e in everyone)
        assert sorted(map(id, self.queue.waiting())) == sorted(map(id, everyone))

    def teardown(self):
        """Whatever happened, the queue drains: everyone comes out once."""
        seen = []
        while batch := self.queue.take(self.limit):
            seen += batch
        while (one := self.queue.take_suspect()) is not None:
            seen.append(one)
        assert sorted(map(id, seen)) == sorted(map(id, [*self.waiting, *self.suspects]))
        assert self.queue.entries == self.queue.rows == self.queue.nbytes == 0


class RaggedRules(QueueRules):
    """The same where lengths differ and ``pad`` evens them out."""

    ragged = True


TestFifo = QueueRules.TestCase
TestRagged = RaggedRules.TestCase
TestFifo.settings = TestRagged.settings = settings(
    max_examples=80, stateful_step_count=30, deadline=None
)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(1, 16))
def test_ragged_batches_are_dense_and_the_oldest_always_leads(lengths, limit):
    queue = EntryQueue(ragged=True)
    everyone = [entry(length=n) for n in lengths]
    for one in everyone:
        queue.push(one)
    seen = []
    while batch := queue.take(limit):
        assert batch[0] is next(e for e in everyone if e not in seen)
        assert fill(batch) >= (FILL if len(lengths) - len(seen) > FEW else FILL_OF_FEW)
        assert len(batch) <= limit
        seen += batch
    assert len(seen) == len(lengths)


def test_neighbours_in_length_share_a_batch():
    queue = EntryQueue(ragged=True)
    for length in (100, 10, 98, 11, 103, 12):
        queue.push(entry(length=length))

    assert sorted(e.length for e in queue.take(8)) == [98, 100, 103]
    assert sorted(e.length for e in queue.take(8)) == [10, 11, 12]


def test_the_nearest_come_first_when_there_is_no_room_for_all():
    queue = EntryQueue(ragged=True)
    for length in (50, 60, 49, 51, 45):
        queue.push(entry(length=length))

    assert sorted(e.length for e in queue.take(3)) == [49, 50, 51]


def test_an_odd_length_does_not_starve_among_many_alike():
    queue = EntryQueue(ragged=True)
    queue.push(entry(length=10))
    odd = entry(length=500)
    queue.push(odd)
    for _ in range(10):
        queue.push(entry(length=10))

    assert odd not in queue.take(4)
    assert queue.take(4) == [odd]


def test_high_priority_leads():
    queue = EntryQueue()
    low, high = entry(), entry(priority=HIGH)
    queue.push(low)
    queue.push(high)

    assert queue.take(1) == [high]
    assert queue.take(1) == [low]


@pytest.mark.parametrize("ragged", [False, True], ids=["fifo", "ragged"])
def test_a_stream_of_high_ones_does_not_starve_normal_ones(ragged):
    queue = EntryQueue(ragged=ragged)
    normal = entry()
    queue.push(normal)
    led = []
    for _ in range(FAIR + 1):
        queue.push(entry(priority=HIGH))
        queue.push(entry(priority=HIGH))
        led += queue.take(1)

    assert normal in led
    assert led.index(normal) == FAIR


def test_room_left_by_one_class_is_given_to_the_other():
    queue = EntryQueue()
    high, low = entry(priority=HIGH), [entry() for _ in range(5)]
    for one in (*low, high):
        queue.push(one)

    assert queue.take(4) == [high, *low[:3]]


def test_what_is_admitted_already_goes_before_all_others_and_fills_up_with_them():
    queue = EntryQueue()
    low, high = [entry() for _ in range(2)], [entry(priority=HIGH) for _ in range(2)]
    admitted = [entry(priority=ADMITTED) for _ in range(3)]
    for one in (*low, *high, *admitted):
        queue.push(one)

    assert queue.take(2) == admitted[:2]
    assert queue.take(4) == [admitted[2], *high, low[0]]
    assert queue.take(4) == [low[1]]
    assert not queue.entries


def test_what_is_admitted_changes_nothing_between_high_and_normal():
    queue = EntryQueue()
    normal = entry()
    queue.push(normal)
    led = []
    for _ in range(FAIR + 1):
        for priority in (HIGH, HIGH, ADMITTED):
            queue.push(entry(priority=priority))
        led += queue.take(1) + queue.take(1)

    others = [e for e in led if e.priority != ADMITTED]
    assert others.index(normal) == FAIR


def test_keys_do_not_mix_and_the_older_goes_first():
    queue = EntryQueue()
    first = [entry(key=(3,)) for _ in range(2)]
    second = entry(key=(4,))
    third = entry(key=(3,))
    for one in (*first, second, third):
        queue.push(one)

    assert queue.take(8) == [*first, third]
    assert queue.take(8) == [second]
    assert queue.take(8) == []


def test_a_request_over_the_limit_goes_alone():
    queue = EntryQueue()
    big, small = entry(rows=20), entry()
    queue.push(big)
    queue.push(small)

    assert queue.take(8) == [big]
    assert queue.take(8) == [small]


@pytest.mark.parametrize("ragged", [False, True], ids=["fifo", "ragged"])
def test_cancelled_requests_do_not_fill_the_memory_behind_one_that_waits(ragged):
    queue = EntryQueue(ragged=ragged)
    waits = entry()
    queue.push(waits)
    for _ in range(50 * DEAD_MIN):
        gone = entry()
        queue.push(gone)
        queue.discard(gone)
    (lane,) = queue._lanes.values()

    assert len(lane._order) <= DEAD_MIN + 2
    assert queue.take(4) == [waits]


def test_who_comes_back_goes_before_everyone_in_its_old_order():
    queue = EntryQueue()
    taken = [entry() for _ in range(3)]
    for one in taken:
        queue.push(one)
    assert queue.take(3) == taken
    queue.push(later := entry())
    queue.push_front(taken)

    assert queue.take(8) == [*taken, later]


def test_suspects_are_never_part_of_a_batch():
    queue = EntryQueue()
    suspect = entry()
    suspect.suspect = True
    queue.push_front([suspect])
    queue.push(good := entry())

    assert queue.take(8) == [good]
    assert queue.take(8) == []
    assert queue.entries == 1
    assert queue.take_suspect() is suspect


@pytest.mark.parametrize(
    ("lengths", "first"),
    [
        ([5, 6, 7, 8, 9], {5, 6, 7, 8, 9}),
        ([20, 100], {20, 100}),
        ([3, 100], {3}),
        ([5, 6, 7, 8, 9, 100, 101, 102, 103], {5, 6}),
    ],
    ids=["five-sentences", "at-the-least", "too-different", "many-wait"],
)
def test_a_few_waiting_requests_share_a_batch_sooner_than_many(lengths, first):
    queue = EntryQueue(ragged=True)
    for n in lengths:
        queue.push(entry(length=n))

    batch = queue.take(16)

    assert {e.length for e in batch} == first or (len(lengths) > FEW and fill(batch) >= FILL)


@pytest.mark.parametrize(("held", "least"), [(False, FILL_OF_FEW), (True, FILL_OF_HELD)], ids=str)
def test_a_few_that_were_held_back_share_a_batch_though_quite_unlike(held, least):
    lengths = [2, 5, 9, 14, 22]
    queue = EntryQueue(ragged=True, held=held)
    for length in lengths:
        queue.push(entry(1, length=length))
    batch = queue.take(32)

    share = sum(lengths) / (max(lengths) * len(lengths))
    assert (len(batch) == len(lengths)) == (share >= least)
