"""The article's request, and sentences of different lengths that share a padded batch."""

import asyncio
import math
import re

import pytest
from examples.article.build import build
from tests.system import models
from tests.system.serving import serving
from tests.system.traffic import Load, request, run

SENTENCES = [
    [11, 12, 13, 14, 15, 16, 17, 18, 19],
    [21, 22, 23, 24, 25, 26, 27, 28, 29, 30],
    [31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41],
    [51, 52, 53, 54, 55, 56, 57, 58],
    [61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72],
]


def test_the_articles_request(tmp_path):
    build(tmp_path / "models")
    with serving(tmp_path / "server", tmp_path / "models") as server:
        answer = server.ask(data=[0.1, 0.2, 0.3])

        assert answer.status == 200
        assert answer.body == b'{"result":0.5}'
        assert server.ask(data=[[0.1, 0.2, 0.3]]).json == {"result": [0.5]}
        assert server.ask("/models/article/predict", [0.1, 0.2, 0.3]).body == b'{"result":0.5}'


def larger(server, size):
    """Return how many batches had more than ``size`` rows."""
    at_most = {
        float(re.search(r'le="([^"]+)"', name)[1]): count
        for name, count in server.metrics_of("inferd_batch_size_bucket").items()
    }
    return at_most[math.inf] - at_most[size]


UNLIKE = [list(range(start, start + n)) for start, n in enumerate((2, 5, 9, 14, 22), 100)]


@pytest.mark.parametrize("sentences", [SENTENCES, UNLIKE], ids=["much alike", "quite unlike"])
def test_five_sentences_share_one_padded_batch(tmp_path, sentences):
    repository = models.sentences(tmp_path / "models")
    with serving(tmp_path / "server", repository, "--max-delay", "50ms") as server:
        alone = [server.ask(data=ids).result for ids in sentences]
        assert alone == [pytest.approx(sum(ids) / len(ids)) for ids in sentences]

        async def at_once():
            load = Load(server.data, lambda i: request("/predict", sentences[i % 5]))
            first = [load.shoot(i) for i in range(5)]
            await asyncio.gather(*first)  # opens five connections
            together = await asyncio.gather(*(load.shoot(i) for i in range(5)))
            return [s.result for s in together]

        for _ in range(20):
            assert run(at_once()) == alone
        shared = larger(server, 4)
        print(f"\nbatches of five in 40 rounds: {shared:.0f}")

        assert shared >= 38  # a machine that stands still for 50 ms may part them


def test_five_sentences_without_a_delay_get_the_answers_they_get_alone(tmp_path):
    repository = models.sentences(tmp_path / "models")
    with serving(tmp_path / "server", repository) as server:
        load = Load(server.data, lambda i: request("/predict", SENTENCES[i % 5]))
        run(load.closed_loop(5, 500))

        for shot in load.shots:
            ids = SENTENCES[shot.index % 5]
            assert shot.result == sum(ids) / len(ids)


def test_sentences_answer_the_same_in_any_company(tmp_path):
    repository = models.sentences(tmp_path / "models")
    lengths = [1 + (7 * i) % 60 for i in range(600)]

    def ids(index):
        return list(range(index, index + lengths[index]))

    with serving(tmp_path / "server", repository) as server:
        load = Load(server.data, lambda i: request("/predict", ids(i)))
        run(load.closed_loop(48, 600))

        for shot in load.shots:
            mean = sum(ids(shot.index)) / lengths[shot.index]
            assert shot.result == pytest.approx(mean, rel=1e-6), shot.index
        print(f"\n{larger(server, 1):.0f} batches of two or more")

        assert larger(server, 1) > 20
