"""How the benchmark of methods chooses learning rates and which runs it counts as equal."""

import pytest

from tests.benchmarks.method_runs import Contest, Done, Job
from tests.benchmarks.methods import FIRST, alike, best_rate, next_rate, search


def done(reward: float = 0.8, fid: float = 0.1, mm_dist: float = 1.0, updates: int = 10) -> Done:
    after = {"reward": reward, "fid": fid, "mm_dist": mm_dist}
    before = {"reward": 0.7, "fid": 0.12, "mm_dist": 1.02}
    return Done(updates, 1.0, 0.0, before, after, {})


def test_the_best_rate_has_the_highest_reward_that_the_evaluator_does_not_deny() -> None:
    tried = {1e-5: done(0.80), 1e-4: done(0.85), 1e-3: done(0.95, fid=0.3)}
    assert best_rate(tried) == 1e-4


def test_rewards_that_differ_by_noise_alone_leave_the_choice_to_mm_dist() -> None:
    assert best_rate({1e-5: done(0.850, mm_dist=0.98), 1e-4: done(0.851, mm_dist=1.01)}) == 1e-5


def test_where_every_rate_does_harm_the_least_fid_is_best() -> None:
    assert best_rate({1e-5: done(0.8, fid=0.2), 1e-4: done(0.9, fid=0.4)}) == 1e-5


def test_the_search_goes_on_beyond_an_end_and_stops_inside() -> None:
    assert next_rate(FIRST, FIRST[0]) == pytest.approx(4e-6)
    assert next_rate(FIRST, FIRST[1]) == pytest.approx(5e-4)
    assert next_rate([4e-6, *FIRST], FIRST[0]) is None
    assert next_rate([4e-6, 8e-7, *FIRST], 8e-7) is None, "no rate beyond reach"


def test_every_method_finds_the_top_of_its_own_curve() -> None:
    tops = {"easytune": 4e-6, "refl": 5e-4}

    class Fake:
        def run(self, jobs: list[Job]) -> dict[Job, Done]:
            ratios = {job: job.rate / tops[job.method] for job in jobs}
            return {job: done(0.9 - 0.1 * abs(ratio - 1) / (ratio + 1)) for job, ratio in ratios.items()}

    assert search(Fake(), list(tops), Contest(1.0, seconds=1.0)) == pytest.approx(tops)  # type: ignore[arg-type]


def test_runs_count_as_equal_only_where_all_of_a_method_made_about_as_many_updates() -> None:
    contest = Contest(1.0, seconds=1.0)
    found = {
        Job("refl", 1e-4, seed, "test", 5, contest): done(updates=updates)
        for seed, updates in ((1, 36), (2, 90))
    }
    found |= {Job("draft", 1e-4, seed, "test", 5, contest): done(updates=40) for seed in (1, 2)}
    assert {job.method for job in alike(found, 35)} == {"draft"}
