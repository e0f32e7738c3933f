"""Pruning in a training: what its schedule was asked, and what came of it."""

import logging
import warnings

from keras_sparse_rnn import model_rewiring
from keras_sparse_rnn import rewiring as rules


class AskedPruning:
    """Asks a sparsity schedule about each step, or epoch, of a training once.

    The schedule is passed each time: it may change while the training goes on.

    Args:
        asker: String, the callback that asks, as errors name it.
        frequency: `Frequency`, which tells what the schedule counts in.
    """

    def __init__(self, asker, frequency):
        self._asker = asker
        self._frequency = frequency
        self._next = 0
        self._has_pruned = False
        self._too_low = None

    def begin_at(self, step):
        """Leaves out what comes before a step: it was asked about before."""
        self._next = step

    def ask(self, schedule, now, weights):
        """Asks about every step since the last time.

        Args:
            schedule: Sparsity schedule.
            now: Integer, the last step to ask about.
            weights: List of `SparseWeight`s.

        Returns:
            Float, the sparsity to prune to, or `None` not to prune.

        Raises:
            ValueError: As `keras_sparse_rnn.rewiring.ask`.
        """
        target = rules.ask(schedule, self._next, now)
        self._next = now + 1
        if target and model_rewiring.are_sparser(weights, target):
            self._too_low = (target, model_rewiring.sparsity(weights))
        elif target:
            self._has_pruned = True
        return target

    def ask_what_is_left(self, schedule, now, weights):
        """Asks at the last opportunity whether a final sparsity was missed.

        A schedule may come to its end between two times at which it is asked.
        What it says before its end may wait for the next time.

        Args:
            schedule: Sparsity schedule.
            now: Integer, the last step to ask about.
            weights: List of `SparseWeight`s.

        Returns:
            As `ask`.

        Raises:
            ValueError: As `ask`.
        """
        if not model_rewiring.tells_target(
            schedule
        ) or model_rewiring.reaches_target(schedule, weights):
            return None
        target = rules.ask(schedule, self._next, now)
        if target is None or not model_rewiring.is_target(schedule, target):
            return None
        return self.ask(schedule, now, weights)

    def note_if_missed(self, schedule, weights):
        """Says so if weights did not become as sparse as they were to.

        Args:
            schedule: Sparsity schedule.
            weights: List of `SparseWeight`s, at the end of a training.
        """
        # It may be though nothing went, as where a run is resumed.
        if model_rewiring.reaches_target(schedule, weights):
            return
        if not self._has_pruned and self._too_low:
            target, present = self._too_low
            warnings.warn(
                f"{self._asker} pruned nothing: its schedule named a sparsity "
                f"of {target}, and the layers had one of {present:.4f} "
                f"already. Received: pruning={schedule}",
                stacklevel=2,
            )
        elif not self._has_pruned:
            unit = self._frequency.unit
            hint = (
                ""
                if self._frequency.is_by_steps
                else " One that counts steps needs a `frequency` in steps."
            )
            warnings.warn(
                f"{self._asker} pruned nothing: of the {unit}s before "
                f"{unit} {self._next}, those it was asked about, its "
                f"schedule named none, or a sparsity of 0.{hint} "
                f"Received: pruning={schedule}",
                stacklevel=2,
            )
        elif model_rewiring.tells_target(schedule):
            # Logged, no Python warning: another `fit` may go on with it.
            logging.getLogger("keras_sparse_rnn").warning(
                "Pruning ended at a sparsity of %.4f: its schedule was asked "
                "about the %ss before %s %d, and ends later. Let it end "
                "earlier, or train for longer. Received: pruning=%s",
                model_rewiring.sparsity(weights),
                self._frequency.unit,
                self._frequency.unit,
                self._next,
                schedule,
            )
