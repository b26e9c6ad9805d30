"""The Python steps of the pipeline: what stands before, between and after its models.

Each function sees one request. Films are numbers from 1; 0 is no film. What is asked wrongly is refused;
what is asked about films that are not known is left out, and ``notes`` say so.
"""

from __future__ import annotations

from typing import Annotated, TypedDict

import numpy as np
from catalogue import LIKED, band, catalogue, group_name, shares
from diverse import chosen
from liking import latest_most

from inferd.core.errors import InvalidInput

Films = Annotated[np.ndarray, "int64", (-1,)]
Numbers = Annotated[np.ndarray, "float32", (-1,)]
Flags = Annotated[np.ndarray, "bool", (-1,)]

MOST_ENTRIES = 5000
"""Longest history, list of exclusions or of likes."""

MOST_FILMS = 100
LOWEST, HIGHEST = 0.5, 5.0
ASSUMED = 5.0
"""The rating of a film that came without one."""

SURE = 0.6
"""From this likeness on a title is taken for that of a film."""

NEW_CANDIDATES = 200
GROUP = -1
"""Stands for a film that speaks for another where it is a group of people."""

NAMED = 5
"""So many of what is not known are named in a note."""

# --------------------------------------------------------------------------- what is asked


class Read(TypedDict):
    """``history`` and ``ratings`` of known films; ``allowed``: by film, whether it may be recommended."""

    history: Films
    ratings: Numbers
    allowed: Flags
    notes: list[str]


def read(
    history: Films,
    ratings: Numbers,
    user: int,
    genres: list[str],
    exclude: Films,
    age: int,
    gender: str,
    k: int,
    threshold: float,
    diversity: float,
) -> Read:
    """Check what was sent, add what is known of the user, and leave out films that are not known."""
    check_history(history, ratings)
    check_films("exclude", exclude)
    check_choice(k, threshold, diversity)
    check_person(user, age, gender)
    if not len(ratings):
        ratings = np.full(len(history), ASSUMED, np.float32)
    notes: list[str] = []
    ours = known(history, "history", notes)
    history, ratings = history[ours], ratings[ours]
    if user:
        person = catalogue().people[user]
        history = np.concatenate([np.array(person["history"], np.int64), history])
        ratings = np.concatenate([np.array(person["ratings"], np.float32), ratings])
    allowed = of_genres(genres)
    allowed &= ~catalogue().twins(exclude[known(exclude, "exclude", notes)])
    return {"history": history, "ratings": ratings, "allowed": allowed, "notes": notes}


def check_history(history: np.ndarray, ratings: np.ndarray) -> None:
    """Refuse histories that cannot be one."""
    check_films("history", history)
    if len(ratings) not in (0, len(history)):
        raise InvalidInput(
            f"history has {len(history)} films, and ratings has {len(ratings)} numbers",
            help="send one rating for each film, or none at all",
        )
    wrong = ~((ratings >= LOWEST) & (ratings <= HIGHEST))
    if wrong.any():
        raise InvalidInput(
            f"ratings[{int(wrong.argmax())}] is {ratings[wrong][0]:g}",
            help=f"ratings are {LOWEST:g} to {HIGHEST:g}",
        )


def check_films(name: str, films: np.ndarray) -> None:
    """Refuse what cannot be a list of films."""
    if len(films) > MOST_ENTRIES:
        raise InvalidInput(
            f"{name} has {len(films):,} films, more than {MOST_ENTRIES:,}", help="send the latest"
        )
    if (films < 1).any():
        place = int((films < 1).argmax())
        raise InvalidInput(f"{name}[{place}] is {films[place]}", help="films are numbered from 1")


def check_choice(k: int, threshold: float, diversity: float) -> None:
    """Refuse what cannot be chosen by."""
    if not 1 <= k <= MOST_FILMS:
        raise InvalidInput(f"k is {k}", help=f"ask for 1 to {MOST_FILMS} films")
    for name, value in (("threshold", threshold), ("diversity", diversity)):
        if not 0 <= value <= 1:
            raise InvalidInput(f"{name} is {value:g}", help=f"{name} is 0 to 1")


def check_person(user: int, age: int, gender: str) -> None:
    """Refuse people that are not known, and ages and genders that nobody has here."""
    people = catalogue().people
    if user and user not in people:
        raise InvalidInput(
            f"user {user} is not known",
            help=f"users are 1 to {max(people)}; send a history instead, or leave user out",
        )
    if not 0 <= age <= 130:
        raise InvalidInput(f"age is {age}", help="years, or 0 where it is not said")
    if gender not in ("", "F", "M"):
        raise InvalidInput(
            f"gender is {gender[:20]!r}", help="F or M, as in the data, or leave it out"
        )


def known(films: np.ndarray, name: str, notes: list[str]) -> np.ndarray:
    """Return which films are known, and note those that are not."""
    ours = np.array([catalogue().known(int(film)) for film in films], bool)
    lost = list(dict.fromkeys(int(film) for film in films[~ours]))
    if lost:
        named = ", ".join(map(str, lost[:NAMED])) + (" ..." if len(lost) > NAMED else "")
        what = "1 film that is" if len(lost) == 1 else f"{len(lost)} films that are"
        notes.append(f"left out of {name}: {what} not known ({named})")
    return ours


def of_genres(genres: list[str]) -> np.ndarray:
    """Return by film whether it is of one of these genres; of any where there are none."""
    have = catalogue()
    everywhere = np.ones(have.size, bool)
    everywhere[0] = False
    if not genres:
        return everywhere
    names = {genre.casefold(): place for place, genre in enumerate(have.genres)}
    for genre in genres:
        if genre.casefold() not in names:
            raise InvalidInput(
                f"there is no genre {genre[:40]!r}", help=f"genres: {', '.join(have.genres)}"
            )
    return have.kinds[:, [names[g.casefold()] for g in genres]].any(axis=1)


# --------------------------------------------------------------------------- behaviour


class Behaviour(TypedDict):
    """``weights``: how much each film counts; ``known``: how many count at all."""

    history: Films
    ratings: Numbers
    weights: Numbers
    allowed: Flags
    known: int
    notes: list[str]


def behaviour(
    history: Films,
    ratings: Numbers,
    allowed: Flags,
    notes: list[str],
    likes: list[str],
    found: Annotated[np.ndarray, "int64", (-1, -1)],
    sure: Annotated[np.ndarray, "float32", (-1, -1)],
) -> Behaviour:
    """Join what was seen and what was named; each film counts once, with its latest rating."""
    notes = list(notes)
    named = []
    for text, films, scores in zip(likes, found, sure, strict=True):
        if scores[0] < SURE:
            notes.append(f"no film is called {text[:60]!r}")
            continue
        named.append(int(films[0]))
        notes.append(f"{text[:60]!r} is taken for {catalogue().name(named[-1])}")
    history = np.concatenate([history, np.array(named, np.int64)])
    ratings = np.concatenate([ratings, np.full(len(named), ASSUMED, np.float32)])
    history, ratings = latest(history, ratings)
    weights = latest_most(ratings)
    count = int((weights > 0).sum())
    if len(history) and not count:
        notes.append("none of the films seen was liked: these are for somebody new")
    return {
        "history": history,
        "ratings": ratings,
        "weights": weights,
        "allowed": allowed & ~catalogue().twins(history),
        "known": count,
        "notes": notes,
    }


def latest(history: np.ndarray, ratings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each film once, in order, with the last of its ratings."""
    _, places = np.unique(history[::-1], return_index=True)
    kept = np.sort(len(history) - 1 - places)
    return history[kept], ratings[kept]


# --------------------------------------------------------------------------- somebody new


class Newcomer(TypedDict):
    """``because`` is -1: a group speaks for these."""

    candidates: Films
    scores: Numbers
    because: Films


def newcomer(allowed: Flags, age: int, gender: str) -> Newcomer:
    """Return what people of this age and gender like; ``scores`` is the share of them that does."""
    liked = np.where(allowed, shares(band(age) if age else -1, gender), -1.0)
    order = np.argsort(-liked, kind="stable")[:NEW_CANDIDATES]
    return {
        "candidates": order.astype(np.int64),
        "scores": liked[order].astype(np.float32),
        "because": np.full(len(order), GROUP, np.int64),
    }


# --------------------------------------------------------------------------- the answer


class Choice(TypedDict):
    """What is answered: an entry for each film in ``films``; of ``notes`` any number."""

    films: Films
    titles: list[str]
    years: Films
    genres: list[str]
    scores: Numbers
    reasons: list[str]
    notes: list[str]


def choose(
    candidates: Films,
    scores: Numbers,
    because: Films,
    history: Films,
    ratings: Numbers,
    allowed: Flags,
    age: int,
    gender: str,
    notes: list[str],
    k: int,
    threshold: float,
    diversity: float,
) -> Choice:
    """Leave out what is not allowed or scores too little, choose ``k``, and give a reason for each."""
    have, notes = catalogue(), list(notes)
    fit = allowed[candidates] & (scores >= threshold)
    candidates, scores, because = candidates[fit], scores[fit], because[fit]
    order = chosen(scores, have.kinds[candidates], have.same[candidates], k, diversity)
    films = candidates[order]
    if len(films) < k:
        notes.append(f"{len(films)} films of the {k} wanted fit")
    seen = dict(zip(history.tolist(), ratings.tolist(), strict=True))
    return {
        "films": films,
        "titles": [have.films[int(f)]["title"] for f in films],
        "years": np.array([have.films[int(f)]["year"] for f in films], np.int64),
        "genres": ["|".join(have.films[int(f)]["genres"]) for f in films],
        "scores": scores[order],
        "reasons": [
            reason(int(film), float(score), seen, age, gender)
            for film, score in zip(because[order], scores[order], strict=True)
        ],
        "notes": notes,
    }


def reason(because: int, score: float, seen: dict[int, float], age: int, gender: str) -> str:
    """Return why a film is recommended, in words."""
    if because == GROUP:
        return f"liked by {score:.0%} of {group_name(age, gender)}"
    if not because:
        return "near to what you like as a whole"
    did = "liked" if seen.get(because, 0) >= LIKED else "saw"
    return f"because you {did} {catalogue().name(because)}"
