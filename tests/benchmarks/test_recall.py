from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.recall import Quality, average, judge, main
from sfm_core.model.coordinate import Coordinate


def places(*numbers: int) -> list[Coordinate]:
    return [Coordinate.of([number]) for number in numbers]


def test_a_perfect_ranking_is_judged_one() -> None:
    assert judge(places(3, 1, 2), places(3)) == Quality(recall=(1, 1, 1, 1), mrr=1, ndcg=1)


def test_nothing_found_is_judged_zero() -> None:
    assert judge([], places(3)) == Quality(recall=(0, 0, 0, 0), mrr=0, ndcg=0)


def test_recall_counts_the_evidence_found_by_each_depth() -> None:
    ranking = places(1, *range(10, 14), 2, *range(20, 30), 3)

    assert judge(ranking, places(1, 2, 3, 4)).recall == (0.25, 0.25, 0.5, 0.75)


def test_the_first_hit_decides_the_reciprocal_rank() -> None:
    assert judge(places(9, 8, 1, 2), places(1, 2)).mrr == pytest.approx(1 / 3)


def test_hits_beyond_the_tenth_do_not_count_for_mrr_and_ndcg() -> None:
    quality = judge(places(*range(100, 110), 1), places(1))

    assert (quality.mrr, quality.ndcg) == (0, 0)


def test_every_question_counts_the_same_in_the_average() -> None:
    good, bad = judge(places(1), places(1)), judge(places(2), places(1))

    assert average([good, bad, bad, bad]) == Quality(recall=(0.25,) * 4, mrr=0.25, ndcg=0.25)


def test_the_figures_of_every_arm_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memories = [
        {"namespace": "n", "coord": [1, turn], "type": "episodic", "payload": payload}
        for turn, payload in enumerate(
            [
                {"speaker": "Ann", "text": "My boat is called Swallow."},
                {"speaker": "Bob", "text": "The tax office wrote again."},
            ]
        )
    ]
    question = {"namespace": "n", "query": "What is Ann's boat called?", "evidence": [[1, 0]]}
    (tmp_path / "memories.jsonl").write_text("\n".join(map(json.dumps, memories)), "utf-8")
    (tmp_path / "questions.jsonl").write_text(json.dumps(question), "utf-8")

    main(
        [
            f"--memories={tmp_path / 'memories.jsonl'}",
            f"--questions={tmp_path / 'questions.jsonl'}",
            "--embedder=hashing:",
        ]
    )

    printed = capsys.readouterr().out
    overall = [line.split() for line in printed.splitlines() if "overall" in line]
    assert overall == [["overall", "1", *["1.0000"] * 6]] * 3
