"""Two processes on the CPU: gradients really averaged, one run folder, and no survivor left waiting (fault 19)."""

import json
import os
import socket
import time
from datetime import timedelta
from pathlib import Path

import accelerate
import pytest
import torch

from motionrft.errors import RunError, UserError
from motionrft.training import process_group, signs_of_life, stop_notice
from motionrft.training.distribution import Distribution
from motionrft.training.loop import train
from tests.processes import together
from tests.training.messages import every_message
from tests.training.shares import Share, run_share

LIMIT = timedelta(seconds=60)
ENVIRONMENT = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}


def _together(path: Path, fault: str) -> list[int]:
    """Run two processes to their ends; their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            os.environ.update(ENVIRONMENT, MASTER_PORT=port, RANK=str(rank), LOCAL_RANK=str(rank))
            run_share(path, fault)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _words(path: Path, rank: int) -> str:
    return path.with_name(f"{path.name}.{rank}").read_text()


def test_two_processes_equal_one_with_twice_the_batch(tmp_path: Path) -> None:
    """Stopped by a SIGTERM to one of them, resumed by both; compared with a single process."""
    alone = Share(Distribution(), batch=6)
    train(alone, updates=8)
    path = tmp_path / "run"
    assert _together(path, "stop") == [75, 75], _words(path, 0) + _words(path, 1)
    assert _together(path, "resume") == [0, 0], _words(path, 0) + _words(path, 1)
    ranks = [torch.tensor(json.loads(_words(path, rank))) for rank in range(2)]
    assert torch.equal(ranks[0], ranks[1])
    torch.testing.assert_close(ranks[0], alone.flat(), rtol=1e-5, atol=1e-7)
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [line["update"] for line in lines] == list(range(1, 9))


def test_a_killed_process_ends_the_other(tmp_path: Path) -> None:
    began = time.monotonic()
    assert _together(tmp_path / "run", "die") == [1, -9]
    assert time.monotonic() - began < 50
    assert "lost the others" in _words(tmp_path / "run", 0)


@pytest.mark.parametrize("fault", ["stop 0 outside", "stop 1 outside", "stop 1 while busy"])
def test_a_process_stopped_outside_the_loop_stops_the_others(tmp_path: Path, fault: str) -> None:
    """The other waits for it in a message, or is busy with something of its own."""
    began = time.monotonic()
    assert _together(tmp_path / "run", fault) == [75, 75]
    assert time.monotonic() - began < 20
    assert all("Stopped" in _words(tmp_path / "run", rank) for rank in range(2))
    assert not [path for path in (tmp_path / "run").iterdir() if path.name == ".lock"]


def test_a_users_mistake_ends_every_process_alike(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").touch()
    assert _together(tmp_path / "run", "go") == [2, 2]
    assert "no run folder" in _words(tmp_path / "run", 0) and "no run folder" in _words(tmp_path / "run", 1)


def test_who_waits_takes_signs_of_life_until_the_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs_of_life, "EVERY", 0.01)
    signs = []

    def act(rank: int) -> int:
        with Distribution.join(torch.device("cpu")) as company:
            broadcast = torch.distributed.broadcast

            def counted(word: torch.Tensor, *rest: object) -> None:
                broadcast(word, *rest)
                signs.append(int(word))

            torch.distributed.broadcast = counted

            def work() -> str:
                while len(signs) < 3:
                    time.sleep(0.01)
                return "done"

            answer = company.first(work)
            assert answer == ("done" if rank == 0 else None)
            return 0 if signs.count(0) >= 3 and signs[-1] == 1 else 1

    assert together(act) == [0, 0]


def test_all_know_what_the_first_found_or_most_hold_and_it_gets_what_all_made_in_order() -> None:
    def act(rank: int) -> int:
        with Distribution.join(torch.device("cpu"), timeout=60) as company:
            line = company.mean({"loss": float(rank), "peak_bytes": 2**40 + rank, "update": 3, "word": rank})
            assert line == {"loss": 0.5, "peak_bytes": 2**40 + 1, "update": 3, "word": rank}
            assert company.mean({"rss_bytes": 5 - rank}) == {"rss_bytes": 5}
            known = company.known(lambda: {"answer": 42})
            made = list(company.rounds(iter(range(rank, 7, 2)), 2))
            return 0 if known == {"answer": 42} and made == (list(range(7)) if rank == 0 else []) else 1

    assert together(act) == [0, 0]


@pytest.mark.parametrize("failing", ["first", "other"])
def test_a_process_that_fails_keeps_nobody_waiting(failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the others wait for what the first does, or for the gradients of one that has none."""
    monkeypatch.setattr(stop_notice, "_HEARD", 0.2)

    def act(rank: int) -> int:
        try:
            with Distribution.join(torch.device("cpu"), timeout=600) as company:
                if failing == "first":
                    company.first(lambda: Path("/nowhere/at all").read_text())
                if rank == 1:
                    raise ValueError("a fault of this process alone")
                company.average([torch.ones(1000)])
        except (RunError, ValueError, FileNotFoundError) as error:
            return {"ValueError": 3, "FileNotFoundError": 4, "RunError": 5}[type(error).__name__]
        return 0

    began = time.monotonic()
    assert together(act) == ([4, 5] if failing == "first" else [5, 3])
    assert time.monotonic() - began < 120, "nobody waited for the limit of 600 s"


def test_processes_that_do_not_meet_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(rank: int) -> int:
        os.environ["WORLD_SIZE"] = "3"  # the third never comes
        try:
            Distribution.join(torch.device("cpu"), timeout=1)
        except RunError as error:
            return 0 if "The 3 processes did not meet" in str(error) and "\n" not in str(error) else 4
        return 5

    assert together(act) == [0, 0]
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        UserError, match=r"MASTER_ADDR, MASTER_PORT, RANK, LOCAL_RANK not set: start .* torchrun"
    ):
        Distribution.join(torch.device("cpu"))


def test_processes_share_a_cuda_device_where_no_tensors_travel_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_group, "place_of", lambda _, own: ("a machine", "its card") if own else None)

    def act(rank: int, own_card: bool) -> int:
        try:
            with Distribution.join(torch.device("cpu"), timeout=60, own_card=own_card) as company:
                return 0 if company.gather(rank) == [0, 1] else 3
        except UserError as error:
            return 2 if "2 processes on 1 CUDA device: each needs one" in str(error) else 4

    assert together(lambda rank: act(rank, True)) == [2, 2]
    assert together(lambda rank: act(rank, False)) == [0, 0]


def test_each_message_goes_by_what_carries_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers on devices by NCCL, where there is one; words between hosts by gloo."""
    asked = []
    monkeypatch.setattr(accelerate, "PartialState", lambda **settings: asked.append(settings))
    for nccl in (True, False):
        monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda nccl=nccl: nccl)
        process_group.meet(torch.device("cuda"), LIMIT)
    process_group.meet(torch.device("cpu"), LIMIT)
    assert asked == [
        {"timeout": LIMIT, "backend": "cpu:gloo,cuda:nccl"},
        {"timeout": LIMIT, "backend": "cpu:gloo,cuda:gloo"},
        {"timeout": LIMIT, "cpu": True},
    ]


def test_every_message_is_carried_in_a_group_of_one() -> None:
    """What a real card does with each is asked of the same function in `tests/gpu`."""
    assert together(lambda rank: every_message(torch.device("cpu")), 1) == [0]


def test_alone_everything_is_the_identity() -> None:
    alone = Distribution()
    tensor = torch.ones(3)
    alone.average([tensor])
    assert torch.equal(tensor, torch.ones(3))
    assert alone.main and alone.mean({"loss": 2.0, "n": 1}) == {"loss": 2.0, "n": 1}
    assert alone.largest(3, 0) == (3, 0) and alone.gather("x") == ["x"] and alone.first(lambda: 5) == 5


def test_means_weighed_by_their_share_have_the_mean_of_all() -> None:
    values, counts = torch.randn(5, 7), torch.tensor([3, 7, 1, 2, 5])
    masked = [values[row, :count] for row, count in enumerate(counts.tolist())]
    companies = [Distribution(rank, 2) for rank in range(2)]
    own = [company.share(counts) * torch.cat(masked[company.rows(5)]).mean() for company in companies]
    torch.testing.assert_close(sum(own) / 2, torch.cat(masked).mean())
    first = [company.share(torch.ones(4), [3, 1]) for company in companies]
    assert [float(each) for each in first] == [1.5, 0.5]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_what_is_collected_is_in_order_and_done_once(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    companies, done = [Distribution(rank, 2) for rank in range(2)], list[int]()
    parts = [list(range(rank, count, 2)) for rank in range(2)]
    for company in companies:
        monkeypatch.setattr(company, "gather", lambda own: [done.extend(own), parts][1])
        assert company.collected(count, lambda number: number) == list(range(count))
    assert sorted(done) == list(range(count))


def test_a_batch_smaller_than_the_company_is_a_mistake() -> None:
    Distribution(0, 3).check_batch(3)
    with pytest.raises(UserError, match="a batch of 2 for 3 processes"):
        Distribution(0, 3).check_batch(2)


def test_who_has_parted_is_alone() -> None:
    alone = Distribution()
    alone.part()
    with alone:
        pass
    assert alone.main and alone.processes == 1


@pytest.mark.parametrize(("name", "used"), [("cuda:1", [torch.device("cuda:1")]), ("cuda", []), ("cpu", [])])
def test_alone_the_named_device_is_the_current_one(
    name: str, used: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    seen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", seen.append)
    assert Distribution.join(torch.device(name)).device == torch.device(name) and seen == used


def test_without_a_launcher_nobody_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert Distribution.join(torch.device("cpu")).processes == 1
