"""Out of memory is recognised on every device, and said with advice."""

import pytest
import torch

from motionrft.errors import is_out_of_memory
from motionrft.training.out_of_memory import does_not_fit


def test_the_allocators_own_words_are_understood() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "could not create a primitive descriptor for a matmul primitive. could not create a memory"
        ),
        RuntimeError("could not create a primitive"),
        RuntimeError("could not execute a primitive"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
    ],
    ids=str,
)
def test_other_libraries_words_are_understood(error: Exception) -> None:
    assert is_out_of_memory(error)


def test_other_errors_are_not() -> None:
    assert not is_out_of_memory(ValueError("can't allocate memory"))
    assert not is_out_of_memory(RuntimeError("shapes differ"))


def test_the_end_names_what_was_asked_for_and_what_to_try() -> None:
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore lines")
    assert str(does_not_fit(error, "--lora")) == (
        "Out of memory with a single item at a time (CUDA out of memory. Tried to allocate 2.00 GiB.). Try --lora."
    )
    assert "MemoryError" in str(does_not_fit(MemoryError(), "--lora"))
