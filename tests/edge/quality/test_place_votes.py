"""What pairs of neighbours say together: few never cast a doubt, many do once, and the reason is said when there is one."""

import pytest

from edge.quality.place_votes import LAST, MOST_MISFITS, SHIFTED, PlaceVotes, Verdict

FIT, MISFIT, NEXT, FORMER, NOT_NEXT = "fit", "misfit", "next", "former", "not next"
ABOVE = "fits, one above the other"


def verdicts(*said: str) -> list[tuple[int, int]]:
    """Lag, and how many pairs, of each verdict on this sequence."""
    votes, found = PlaceVotes(), list[Verdict]()
    for at, what in enumerate(said):
        if what in {FIT, MISFIT, ABOVE}:
            votes.judged((at, at + 1), fits=what != MISFIT, upright=what == ABOVE)
        elif what == NOT_NEXT:
            votes.not_shifted(1)
        else:
            votes.shifted(1 if what == NEXT else -1)
        if (verdict := votes.verdict()) is not None:
            found.append(verdict)
    return [(each.lag, each.n) for each in found]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param([FIT] * 50, [], id="all fit"),
        pytest.param([FIT, MISFIT] * 50, [], id="half do not: a fold, a drop, a few bad fields"),
        pytest.param([MISFIT] * (LAST - 1), [], id="too few to say"),
        pytest.param([FIT] * (LAST - MOST_MISFITS) + [MISFIT] * MOST_MISFITS, [(0, MOST_MISFITS)], id="most do not"),
        pytest.param([MISFIT] * 60, [(0, LAST)], id="it is said once"),
        pytest.param([MISFIT, ABOVE] * 30, [(0, LAST)], id="along one side alone: a picture that is mirrored"),
        pytest.param([MISFIT, NEXT] * SHIFTED, [(1, SHIFTED)], id="all belong to the next"),
        pytest.param([MISFIT, FORMER] * SHIFTED, [(-1, SHIFTED)], id="all belong to the former"),
        pytest.param([MISFIT, NEXT] * (SHIFTED - 1), [], id="that is too few"),
        pytest.param([MISFIT, NEXT, FIT, NOT_NEXT] * 20, [], id="others contradict it"),
        pytest.param([MISFIT] * 8 + [NEXT] + [MISFIT] * 4, [(1, 1)], id="most do not fit, and one says why"),
        pytest.param([MISFIT] * 8 + [NEXT, FORMER] + [MISFIT] * 4, [(0, LAST)], id="and two say otherwise"),
        pytest.param([MISFIT] * LAST + [MISFIT, NEXT] * SHIFTED, [(0, LAST), (1, SHIFTED)], id="the reason is found later"),
        pytest.param([MISFIT, NEXT] * 30, [(1, SHIFTED)], id="the reason is said once, and for all"),
    ],
)
def test_many_that_agree_cast_a_doubt(said: list[str], expected: list[tuple[int, int]]) -> None:
    assert verdicts(*said) == expected


def test_a_pair_waits_for_the_field_behind_it_once() -> None:
    votes = PlaceVotes()
    votes.judged((3, 4), fits=False)
    votes.judged((1, 5), fits=True)
    assert votes.waiting(4) == []
    assert votes.waiting(5) == [((3, 4), False)] and votes.waiting(6) == [((1, 5), True)] and votes.waiting(9) == []
