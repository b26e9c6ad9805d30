"""The recommender's models on made-up people: what they learn, what they compute, and their ONNX files."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from examples.recommender import evaluate, tower  # noqa: E402

FILMS = 40
HALF = FILMS // 2
BLEND = (0.5, 2.0, -1.0)


def people_of_two_tastes() -> np.ndarray:
    """Return a table of 60 people who like films of one half each, some of them."""
    chance = np.random.default_rng(0)
    counts = np.zeros((61, FILMS + 1), np.float32)
    for person in range(1, 61):
        start = 1 + HALF * (person % 2)
        counts[person, chance.choice(np.arange(start, start + HALF), 12, replace=False)] = 1
    return counts


@pytest.fixture(scope="module")
def towers():
    return tower.train(people_of_two_tastes(), np.ones((FILMS + 1, 1), np.float32))


@pytest.fixture(scope="module")
def rank():
    weights = np.zeros((4, 4), np.float32)
    weights[1, 3], weights[2, 3], weights[1, 2] = 0.4, 0.5, -0.3
    return tower.Rank(torch.from_numpy(weights), BLEND)


def interest(towers, history, weights):
    with torch.inference_mode():
        return towers(torch.tensor([history]), torch.tensor([weights]))


def test_interest_leads_to_films_of_the_same_taste(towers) -> None:
    retrieve = tower.Retrieve(towers.vectors().detach(), 10)
    allowed = torch.ones(1, FILMS + 1, dtype=torch.bool)
    allowed[0, 0] = False

    for history in ([2, 3], [HALF + 2, HALF + 3]):
        found, affinity = retrieve(interest(towers, history, [1.0, 1.0]), allowed)

        same = ((found - 1) // HALF) == ((history[0] - 1) // HALF)
        assert same.float().mean() >= 0.9
        assert (affinity.diff() <= 0).all()


def test_training_again_gives_the_same(towers) -> None:
    again = tower.train(people_of_two_tastes(), np.ones((FILMS + 1, 1), np.float32))

    assert torch.allclose(again.vectors(), towers.vectors(), atol=1e-5)


def test_filling_changes_nothing(towers, rank) -> None:
    short = interest(towers, [2, 7], [1.0, 0.5])
    assert torch.allclose(interest(towers, [2, 7, 0, 0], [1.0, 0.5, 0.0, 0.0]), short, atol=1e-6)

    candidates, affinity = torch.tensor([[3, 2]]), torch.tensor([[1.0, 2.0]])
    alone = rank(torch.tensor([[1, 2]]), torch.tensor([[1.0, 1.0]]), candidates, affinity)
    filled = rank(torch.tensor([[1, 2, 0]]), torch.tensor([[1.0, 1.0, 0.0]]), candidates, affinity)
    for one, other in zip(alone, filled, strict=True):
        assert torch.equal(one, other)


def test_both_ways_to_an_interest_agree(towers) -> None:
    """By the rows of a table, as it is trained, and by lists of films, as it is served."""
    counts = np.zeros((1, FILMS + 1), np.float32)
    counts[0, [4, 9]] = 1.0, 0.5

    by_table = towers.affinity(counts)
    by_list = tower.spread(interest(towers, [4, 9], [1.0, 0.5]) @ towers.vectors().detach().T)

    assert by_table == pytest.approx(by_list.numpy(), abs=1e-5)


def test_what_is_not_allowed_comes_after_all_that_is(towers) -> None:
    retrieve = tower.Retrieve(towers.vectors().detach(), 10)
    allowed = torch.zeros(1, FILMS + 1, dtype=torch.bool)
    allowed[0, [5, HALF + 5]] = True

    found, affinity = retrieve(interest(towers, [2], [1.0]), allowed)

    assert found[0, :2].tolist() == [5, HALF + 5]
    assert (affinity[0, 2:] == -1000).all()


def test_a_score_is_that_worked_out_by_hand(rank) -> None:
    history, weights = torch.tensor([[1, 2]]), torch.tensor([[1.0, 0.5]])

    scores, because = rank(history, weights, torch.tensor([[3, 2]]), torch.tensor([[1.0, -1.0]]))

    mix, slope, constant = BLEND
    raw = np.array([0.4 + 0.25 + mix * 1.0, -0.3 + 0.0 - mix])
    assert scores[0].numpy() == pytest.approx(1 / (1 + np.exp(-(slope * raw + constant))))
    # film 1 speaks most for film 3; nothing speaks for film 2
    assert because.tolist() == [[1, 0]]


def test_the_files_answer_as_the_models_do(towers, tmp_path) -> None:
    weights = np.random.default_rng(1).normal(size=(FILMS + 1, FILMS + 1)).astype(np.float32)

    for one in tower.exports(towers, weights, BLEND, 10):
        tower.export(one, tmp_path / f"{one.name}.onnx", evaluate.answer)

    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "interest.onnx", "rank.onnx", "retrieve.onnx",
    ]  # fmt: skip


def test_a_file_that_answers_otherwise_is_refused(towers, tmp_path) -> None:
    one, *_ = tower.exports(towers, np.zeros((FILMS + 1, FILMS + 1), np.float32), BLEND, 10)

    with pytest.raises(SystemExit, match="interest: interest of the exported file differs by"):
        tower.export(one, tmp_path / "x.onnx", lambda *asked: [evaluate.answer(*asked)[0] + 0.01])
