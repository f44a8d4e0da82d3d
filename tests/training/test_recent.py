"""What was read lately is held up to a limit in bytes."""

from motionrft.training.recent import Recent


def test_the_longest_unread_goes_first():
    recent = Recent(20)
    for key in "abc":
        recent.put(key, key.upper(), 10)
        recent.get("a")
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == ("A", None, "C")
    assert recent.held == 20


def test_an_entry_that_is_put_again_counts_once_and_one_too_large_not_at_all():
    recent = Recent(20)
    recent.put("a", 1, 10)
    recent.put("a", 2, 15)
    assert (recent.get("a"), recent.held) == (2, 15)
    recent.put("b", 3, 50)
    assert (recent.get("a"), recent.get("b"), recent.held) == (2, None, 15)
