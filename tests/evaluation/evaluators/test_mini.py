"""The built-in evaluator: blind to padding and batch, trainable, and the same after a round trip to disk."""

import torch
from torch.testing import assert_close

from motionrft.data.captions import Caption
from motionrft.evaluation.evaluators import EvaluatorTraining, load_evaluator, train_evaluator
from motionrft.evaluation.evaluators.mini import MiniSize
from motionrft.evaluation.evaluators.training import EvaluatorTrainer
from motionrft.registry import TEXT_ENCODERS
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.weights import load_weights
from tests.generators.families import TEXT_WIDTH, WordEncoder
from tests.processes import together as in_company


def test_an_embedding_depends_on_no_padding_and_on_no_neighbour(evaluator):
    motion = 0.01 * torch.randn(3, 40, 263, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([40, 21, 7])
    together = evaluator.embed_motion(motion, lengths)
    for row, frames in enumerate(lengths.tolist()):
        alone = evaluator.embed_motion(motion[row : row + 1, :frames], lengths[row : row + 1])
        assert_close(together[row : row + 1], alone, rtol=1e-5, atol=1e-6)


def test_contacts_are_not_read_and_embeddings_have_unit_length(evaluator):
    motion, lengths = 0.01 * torch.randn(2, 20, 263), torch.tensor([20, 20])
    other = motion.clone()
    other[..., 259:] += 1
    assert_close(evaluator.embed_motion(motion, lengths), evaluator.embed_motion(other, lengths))
    text = evaluator.embed_text([Caption("a person walks"), Caption("someone waves")])
    assert_close(text.norm(dim=1), torch.ones(2))


def test_training_lowers_the_loss_and_survives_a_round_trip_to_disk(dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(TEXT_ENCODERS.added, "words", (lambda path, device: WordEncoder(), "a test"))
    monkeypatch.setenv("MOTIONRFT_CACHE", str(tmp_path / "cache"))
    settings = EvaluatorTraining(steps=12, batch=6, lr=3e-3)
    size = MiniSize(text=TEXT_WIDTH, width=8, hidden=8, embedding=6)
    losses = []

    class Watch:
        def start(self, total, done, seconds=None): ...
        def update(self, done, metrics):
            losses.append(metrics["loss"])

        def message(self, text, *, warn=False): ...
        def finish(self): ...

    for name in ("first", "second"):
        train_evaluator(dataset, WordEncoder(), tmp_path / name, settings, size, progress=Watch())
    assert min(losses[6:12]) < losses[0] and losses[:12] == losses[12:]
    first, second = load_evaluator(tmp_path / "first"), load_evaluator(tmp_path / "second")
    assert first.identity == second.identity and not first.comparable
    motion, lengths = torch.zeros(1, 16, 263), torch.tensor([16])
    assert torch.equal(first.embed_motion(motion, lengths), second.embed_motion(motion, lengths))


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(dataset):
    settings = EvaluatorTraining(steps=4, batch=6)
    size = MiniSize(text=TEXT_WIDTH, width=8, hidden=8, embedding=6)
    whole, half, rest = (EvaluatorTrainer(dataset, WordEncoder(), settings, size) for _ in range(3))
    for step in range(4):
        whole.update(step)
    for step in range(2):
        half.update(step)
    rest.load_state_dict(half.state_dict())
    for step in range(2, 4):
        rest.update(step)
    for a, b in zip(whole.network.parameters(), rest.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_captions_are_remembered_and_read_batch_by_batch(dataset, monkeypatch):
    """What is read of a million captions is one batch of them."""
    told, read = [], []
    encoder = WordEncoder()
    encode = encoder.encode
    monkeypatch.setattr(encoder, "remember", told.append)
    monkeypatch.setattr(encoder, "encode", lambda texts: read.append(len(texts)) or encode(texts))
    size = MiniSize(text=TEXT_WIDTH, width=8, hidden=8, embedding=6)
    trainer = EvaluatorTrainer(dataset, encoder, EvaluatorTraining(steps=2, batch=3), size)
    assert set(map(tuple, told)) == {tuple(dataset.texts)} and not read
    trainer.update(0)
    assert read == [3]


def test_two_processes_train_the_evaluator_of_one(dataset, tmp_path):
    """Five clips a batch are three and two; the temperature is trained too."""
    size = MiniSize(text=TEXT_WIDTH, width=8, hidden=8, embedding=6)

    def trained(out, company=ALONE):
        settings = EvaluatorTraining(steps=3, batch=5)
        train_evaluator(dataset, WordEncoder(), out, settings, size, company=company)

    def act(rank):
        with Distribution.join(torch.device("cpu"), timeout=60) as company:
            trained(tmp_path / "shared", company)

    assert in_company(act) == [0, 0]
    trained(tmp_path / "alone")
    alone, shared = (load_weights(tmp_path / name)[0] for name in ("alone", "shared"))
    assert alone.keys() == shared.keys() and "log_temperature" in alone
    for name, tensor in alone.items():
        torch.testing.assert_close(shared[name], tensor, rtol=1e-4, atol=1e-5)
