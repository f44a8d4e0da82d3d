"""Every kind of message that a company sends, in a group of one: `python -m tests.training.messages cuda`.

A company of one sends none, so this one does not know that it is alone. What carries the messages refuses here what it
would refuse between several: a tensor on another device, an operation it does not have.
"""

import datetime
import os
import socket
import sys

import torch

from motionrft.finetuning.cuda_graphs import CudaGraphs
from motionrft.training.distribution import Distribution


class Unknowing(int):
    """The number one, which does not say so when it is asked."""

    __hash__ = int.__hash__

    def __eq__(self, other: object) -> bool:
        return False

    def __gt__(self, other: int) -> bool:
        return True


def every_message(device: torch.device) -> int:
    """Send them all and look at what comes back; 0. Asks for the environment of a launcher."""
    company = Distribution._met(device, datetime.timedelta(seconds=60), True)
    company.processes = Unknowing(1)
    there = company.device or device
    assert there.type == device.type
    with company:
        numbers = torch.arange(6.0, device=there)
        for send in (company.average, lambda given: company.mean_for(0, given), company.total):
            given = [numbers[:2].clone(), numbers[2:].view(2, 2).clone(), torch.tensor(6.0, device=there)]
            send(given)
            assert [each.tolist() for each in given] == [[0, 1], [[2, 3], [4, 5]], 6]
        company.sent_by(0, [numbers])
        own = numbers.view(3, 2).clone().requires_grad_()
        joined = company.joined(own, [3])
        joined.sum().backward()
        assert torch.equal(joined.detach(), own.detach()) and torch.equal(own.grad, torch.ones_like(own))
        assert company.mean({"loss": 0.5, "rss_bytes": 3}) == {"loss": 0.5, "rss_bytes": 3}
        assert company.largest(2, 7) == (2, 7)
        assert company.gather({"words": [1]}) == [{"words": [1]}] and company.told("word") == "word"
        assert company.collected(3, lambda number: number * number) == [0, 1, 4]
        assert company.first(lambda: 5) == 5 and company.known(lambda: (5, "five")) == (5, "five")
        assert list(company.rounds(iter(range(5)), 2)) == list(range(5))
        if there.type == "cuda":
            _capture_between_messages(company, there)
    return 0


def _capture_between_messages(company: Distribution, device: torch.device) -> None:
    """A thread of NCCL's looks after its messages all the time, which must not spoil a capture."""
    network = torch.nn.Linear(64, 64).to(device)
    weights, given = list(network.parameters()), torch.randn(32, 64, device=device)
    message = torch.ones(2**24, device=device)
    for _ in range(10):
        company.average([message])
    call = CudaGraphs(device).with_backward(lambda x: [network(x)], [given], weights)
    call(given)[0].sum().backward()
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    company.average(gradients)
    expected = torch.autograd.grad(network(given).sum(), weights)
    torch.testing.assert_close(gradients, list(expected), rtol=1e-3, atol=1e-3)
    assert bool((message == 1).all())


if __name__ == "__main__":
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    os.environ.update(place, RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", LOCAL_WORLD_SIZE="1")
    every_message(torch.device(sys.argv[1]))
    print("carried", torch.cuda.nccl.version() if sys.argv[1] == "cuda" else "")
