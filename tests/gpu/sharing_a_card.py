"""The program, whose processes share one card: `torchrun --nproc-per-node 2 -m tests.gpu.sharing_a_card ARGUMENTS`.

NCCL wants a card for each, and the program refuses two on one. Here they may, and gloo carries what NCCL would.
"""

import sys

import torch

from motionrft.training import process_group
from motionrft_cli import main as program

if __name__ == "__main__":
    torch.distributed.is_nccl_available = lambda: False
    process_group.place_of = lambda device, own: None
    sys.exit(program.run(sys.argv[1:]))
