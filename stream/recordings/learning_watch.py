"""LearningWatch: follows learning in a terminal: how far it is, and `q` or Ctrl-C to end it."""

from __future__ import annotations

from collections.abc import Callable

from engines.personal.gain import Gain
from engines.personal.learning_process import Learning, LearningProcess
from engines.personal.personal_weights import PersonalWeights
from stream.errors import heed
from stream.telemetry.keys import Keys
from stream.telemetry.progress import MakeMeter, Meter

WAIT_S = 0.2
QUIT = "q"
STEPS = "steps"


class LearningWatch:
    """Follows one learning after another.

    Args: meter: is told of every step. keys: that are pressed meanwhile.
    """

    def __init__(self, meter: MakeMeter, keys: Keys) -> None:
        self._meter = meter
        self._keys = keys
        self.stopped = False
        """The user has ended the learning: nothing further is to be learnt."""

    def follow(
        self,
        process: LearningProcess,
        label: str,
        on_steps: Callable[[int], None] = lambda steps: None,
    ) -> tuple[Learning, PersonalWeights | None]:
        """Wait until it has ended.

        Args:    on_steps: is told once how many steps there are.
        Returns: the last news, and the best weights; None: the shipped ones are as good.
        Raises:  EngineError: it has failed. KeyboardInterrupt: a second one; the first ends the
                 learning with what there is.
        """
        meter: Meter | None = None
        best: PersonalWeights | None = None
        while True:
            try:
                if self._keys.pressed() == QUIT:
                    self._stop(process)
                news = process.news(WAIT_S)
            except KeyboardInterrupt as interrupt:
                heed(interrupt)
                if self.stopped:
                    raise
                self._stop(process)
                continue
            if news is None:
                continue
            if meter is None:
                meter = self._meter(news.steps, label=label, unit=STEPS)
                on_steps(news.steps)
            best = news.weights or best
            meter.reach(news.step, _words(news.gain))
            if news.done:
                break
        meter.finish()
        return news, best

    def _stop(self, process: LearningProcess) -> None:
        self.stopped = True
        process.stop()


def _words(gain: Gain | None) -> str:
    return "" if gain is None else f"{gain.psnr:+.2f} dB so far"
