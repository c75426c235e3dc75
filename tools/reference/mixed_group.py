"""The Python rank of mixed-group.mjs: torch.distributed's ProcessGroupGloo on the same store.

Before each collective a rank of this program compares what the ranks are about to do, by two integers that each tells
all; this side does the same (packages/torch/native/collectives.cc: check_group). Small tensors are gathered likewise.
"""

import hashlib
import sys
from datetime import timedelta

import torch
import torch.distributed as dist
from _fill import uniforms

NAMES = {torch.float32: "float32", torch.float64: "float64", torch.int64: "int64", torch.bfloat16: "bfloat16"}


class Group:
    def __init__(self, rank: int, size: int, port: int):
        timeout = timedelta(seconds=60)
        tcp = dist.TCPStore("127.0.0.1", port, is_master=False, wait_for_workers=False, timeout=timeout)
        self.rank, self.size, self.begun = rank, size, 0
        self.store = dist.PrefixStore("rfdetr", tcp)
        self.store.add(f"here/{rank}", 1)
        self.gloo = dist.ProcessGroupGloo(dist.PrefixStore("gloo", self.store), rank, size, timeout)
        # The second set of connections, which gathers what a reducer has summed.
        self.gather = dist.ProcessGroupGloo(dist.PrefixStore("gather", self.store), rank, size, timeout)

    def check(self, what: str, tensors=()) -> None:
        detail = " ".join(f"{NAMES[t.dtype]}[{','.join(map(str, t.shape))}]" for t in tensors)
        self.begun += 1
        value = 0xCBF29CE484222325
        for byte in f"{what if detail == '' else f'{what} {detail}'}{self.begun}".encode():
            value = (value ^ byte) * 0x100000001B3 % 2**64
        mine = torch.tensor([value - 2**64 * (value >> 63), 0])
        assert all(bool(each[0] == mine[0]) for each in self.gathered(mine)), f"the ranks differ in {what} {detail}"

    def gathered(self, tensor) -> list:
        sent = torch.stack([tensor] * self.size)
        received = torch.empty_like(sent)
        out, into = received.view(torch.uint8), sent.view(torch.uint8)
        self.gloo.alltoall_base(out, into, [], [], dist.AllToAllOptions()).wait()
        return list(received.unbind())

    def all(self, tensor, op) -> None:
        options = dist.AllreduceOptions()
        options.reduceOp = op
        self.gloo.allreduce([tensor], options).wait()


def main():
    rank, size, port = (int(word) for word in sys.argv[1:])
    group = Group(rank, size, port)
    told = []

    def tell(tensor) -> None:
        wide = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        told.append(hashlib.sha256(wide.contiguous().numpy().tobytes()).hexdigest())

    def mine(name: str, shape: list[int], dtype: torch.dtype):
        count = torch.Size(shape).numel()
        return torch.from_numpy(uniforms(f"{name} {rank}", count)).mul(1000).to(dtype).reshape(shape)

    ops = {"sum": dist.ReduceOp.SUM, "max": dist.ReduceOp.MAX, "min": dist.ReduceOp.MIN}
    for dtype, name in NAMES.items():
        for op, reduction in ops.items():
            tensor = mine(name, [7, 1001], dtype)
            group.check(f"all-reduce ({op})", [tensor])
            group.all(tensor, reduction)
            tell(tensor)
    for root in range(size):
        tensor = mine("broadcast", [100_003], torch.float32)
        group.check(f"broadcast from {root}", [tensor])
        options = dist.BroadcastOptions()
        options.rootRank = root
        group.gloo.broadcast([tensor], options).wait()
        tell(tensor)
    tensor = mine("gather", [5, 3], torch.float64)
    group.check("all-gather", [tensor])
    for part in group.gathered(tensor):
        tell(part)
    tensor = mine("gather much", [100, 101], torch.float64)
    group.check("all-gather", [tensor])
    gathered = [[torch.empty_like(tensor) for _ in range(size)]]
    group.gloo.allgather(gathered, [tensor]).wait()
    for part in gathered[0]:
        tell(part)
    group.store.set(f"results/{rank}", " ".join(told))
    group.check("barrier")


if __name__ == "__main__":
    main()
