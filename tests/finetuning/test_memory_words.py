"""What the report says of memory."""

from motionrft.finetuning.report import memory_words

MIB = 2**20


def test_on_a_processor_it_is_what_was_resident() -> None:
    lines = [{"peak_bytes": 500 * MIB}, {"peak_bytes": 612 * MIB}]
    assert memory_words(lines) == "612 MiB resident"


def test_on_a_gpu_it_is_what_was_allocated_and_reserved() -> None:
    lines = [{"peak_bytes": 500 * MIB, "reserved_bytes": 700 * MIB}, {"peak_bytes": 612 * MIB}]
    assert memory_words(lines) == "612 MiB allocated, 700 MiB reserved"
