"""What the steps of a run cost, where a step's price depends on how long its batch is."""

from collections.abc import Callable, Hashable

from trivium.pretraining.data import StoreData


class Price:
    """Training FLOPs of every step, known before the training starts.

    Batches of one size (the padded length of texts, or of each of several modalities; 0 where
    all samples are alike) cost the same:
    each size is counted once, on the first batch that has it.

    Args:
        count: Counts the FLOPs of one step.
        size: The size of a step's batch.
    """

    def __init__(self, count: Callable[[int], int], size: Callable[[int], Hashable]) -> None:
        self.count = count
        self.size = size
        self.by_size: dict[Hashable, int] = {}
        self.spent = [0]

    @classmethod
    def of(cls, data: StoreData, count: Callable[[int], int]) -> "Price":
        """The price of steps on a store's batches."""
        return cls(count, data.size)

    @classmethod
    def constant(cls, flops: int) -> "Price":
        """Every step costs the same."""
        return cls(lambda _: flops, lambda _: 0)

    def step(self, step: int) -> int:
        """FLOPs of one step."""
        size = self.size(step)
        if size not in self.by_size:
            self.by_size[size] = self.count(step)
        return self.by_size[size]

    def upto(self, num_steps: int) -> int:
        """FLOPs of the first steps together."""
        while len(self.spent) <= num_steps:
            self.spent.append(self.spent[-1] + self.step(len(self.spent) - 1))
        return self.spent[num_steps]

    def affordable(self, flops: float) -> int:
        """How many steps so many FLOPs buy; 0 if steps cost nothing."""
        num_steps = 0
        while self.step(num_steps) and self.upto(num_steps + 1) <= flops:
            num_steps += 1
        return num_steps
