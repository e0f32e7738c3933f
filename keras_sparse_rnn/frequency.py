"""How often something happens in training."""

import dataclasses
import numbers
import re


@dataclasses.dataclass(frozen=True)
class Frequency:
    """Every so many epochs, or steps of the optimizer.

    Args:
        count: Integer of at least 1.
        unit: `"epoch"` or `"step"`.
    """

    count: int
    unit: str

    @property
    def is_by_steps(self):
        """Boolean."""
        return self.unit == "step"


def parse_frequency(frequency):
    """A frequency from what users write.

    Args:
        frequency: `"epoch"`; an integer of at least 1, so many steps; or a
            string as `"2 epochs"` or `"100 steps"`.

    Returns:
        A `Frequency`.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(frequency, numbers.Integral) and not isinstance(
        frequency, bool
    ):
        if frequency >= 1:
            return Frequency(int(frequency), "step")
    elif isinstance(frequency, str):
        found = re.fullmatch(r"(?:(\d+) +)?(epoch|step)s?", frequency.strip())
        count = int(found[1] or 1) if found else 0
        if count >= 1:
            return Frequency(count, found[2])
    raise ValueError(
        '`frequency` must be "epoch", an integer of at least 1, the number of '
        'steps, or a string such as "2 epochs" or "100 steps". '
        f"Received: frequency={frequency!r}"
    )
