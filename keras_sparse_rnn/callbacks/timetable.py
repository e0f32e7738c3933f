"""When to rewire in a run: by epochs, or by steps of the optimizer."""


class EpochTimetable:
    """Rewires at the beginning of some epochs.

    Args:
        count: Integer, the epochs from one rewiring to the next.
        start: Integer, the first epoch, or `None` for epoch `count`.
        end: Integer, the first epoch at which no more rewiring is done, or
            `None` for the end of training.
        epochs: Integer, the epochs of the training.

    `may_be_meant` tells whether it may be meant that no time comes: to train
    for one epoch is a fair thing to try.
    """

    unit = "epoch"

    def __init__(self, count, start, end, epochs):
        self.may_be_meant = epochs <= count == 1 and start is None
        self._count = count
        self.first = count if start is None else start
        self._end = epochs if end is None else end
        self.stop = min(self._end, epochs)

    def is_due(self, epoch):
        """Whether to rewire at the beginning of an epoch."""
        return (
            self.first <= epoch < self.stop
            and (epoch - self.first) % self._count == 0
        )

    def is_last(self, epoch):
        """Whether an epoch is the last at whose beginning it may be due."""
        return self.first <= epoch == self.stop - 1

    def last_before(self, epoch):
        """The last epoch before this one at which it was time, or -1."""
        epoch = min(epoch, self.stop)
        if epoch <= self.first:
            return -1
        return epoch - 1 - (epoch - 1 - self.first) % self._count

    def progress(self, epoch):
        """Progress of the schedule, 1 at its end."""
        return epoch / self._end


class StepTimetable:
    """Rewires when so many steps of the optimizer were made.

    At least so many, since hooks may run every few steps only.

    Args:
        count: Integer, the steps from one rewiring to the next.
        start: Integer, the first step, or `None` for step `count`.
        end: Integer, the first step at which no more rewiring is done, or
            `None` for the end of training.
        last: Integer, the step of the last rewiring before, or -1.
        stop: Integer, the step at which training ends, or `None` if that is
            not known.

    `may_be_meant` tells whether it may be meant that no time comes: the rest
    of a training that was interrupted may have none.
    """

    unit = "step"

    def __init__(self, count, start, end, last, stop):
        self.may_be_meant = last >= 0
        self._count = count
        self._end = end
        self.first = self._start = count if start is None else start
        if last >= 0:
            self.first = max(last + count, self.first)
        self.stop = min(
            (each for each in (end, stop) if each is not None), default=None
        )
        self._due = self.first

    def is_time(self, step):
        """Whether so many steps were made that it is time again."""
        return step >= self._due

    def is_open(self, step):
        """Whether the schedule has begun, and not ended."""
        return step >= self._start and not self.is_over(step)

    def is_over(self, step):
        """Whether the schedule has ended."""
        return self._end is not None and step >= self._end

    def note(self, step):
        """Notes that it was rewired, or that it was time, after a step."""
        self._due = step + self._count

    def last_of(self, steps):
        """The last time that comes.

        Args:
            steps: Iterable of integers, the steps yet to come at whose
                beginning it may be time, in order.

        Returns:
            The last of them at which it will be time, or -1.
        """
        due, last = self._due, -1
        for step in steps:
            if step >= due:
                due, last = step + self._count, step
        return last

    def progress(self, step, of_training):
        """Progress of the schedule, 1 at its end.

        Args:
            step: Integer, the optimizer's steps.
            of_training: Float, the progress of the training.
        """
        return of_training if self._end is None else step / self._end
