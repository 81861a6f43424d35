"""How many bits an encoder gets: it yields at once, and comes back while round trips are short."""

from __future__ import annotations

from itertools import pairwise

import pytest

from stream.rtc.reception.sending_rate import LEAST, MOST_S, SendingRate

TRIP_S = 0.05


class Browser:
    """A receiver whose estimate stays low for a minute after a queue, as Chromium's does.

    Args: link: what the network carries, bits a second.
    """

    def __init__(self, link: float) -> None:
        self.rate, self.used, self.link = SendingRate(), 1_500_000, link
        self.now_s, self.queued, self.offered = 0.0, 0.0, 1_300_000
        self.steps: list[tuple[float, int, int]] = []
        """When, from what, to what."""
        self.longest_s = 0.0

    def run(self, seconds: float) -> int:
        """Returns what the encoder gets in the end."""
        for _ in range(round(10 * seconds)):
            self.now_s += 0.1
            self.queued = max(0.0, self.queued + 0.1 * (self.used - self.link))
            queue_s = self.queued / self.link
            self.longest_s = max(self.longest_s, queue_s)
            if queue_s > 0.3:
                self.offered = min(self.offered, round(0.5 * self.link))
            tick = round(10 * self.now_s)
            if tick % 10 == 0:
                self.rate.heard(TRIP_S + queue_s, 0.0, self.now_s)
            if tick % 2 == 0:
                chosen = self.rate.choose(self.used, self.offered, self.now_s)
                if chosen != self.used:
                    self.steps.append((self.now_s, self.used, chosen))
                self.used = chosen
        return self.used


def test_it_comes_back_within_seconds_though_the_receiver_asks_for_little() -> None:
    call = Browser(link=10_000_000)
    assert call.run(10) == 1_500_000
    call.link = 300_000
    assert call.run(12) <= 300_000
    call.link = 10_000_000
    call.queued, call.offered, steps = 0.0, 110_000, len(call.steps)
    assert call.run(5) == 1_500_000
    assert len(call.steps) - steps <= 4, "each is a key frame"
    assert call.run(60) == 1_500_000


def test_it_tries_more_seldom_and_yields_where_the_network_stays_slow() -> None:
    call = Browser(link=300_000)
    call.run(20)
    call.steps.clear()
    call.longest_s = 0.0
    call.run(120)
    raised = [now_s for now_s, used, chosen in call.steps if chosen > max(used, call.link)]
    gaps = [later - earlier for earlier, later in pairwise(raised)]
    assert len(raised) <= 7
    assert gaps == sorted(gaps)
    assert gaps[-1] >= MOST_S / 2
    assert call.longest_s < 2.0


def test_without_reports_it_does_what_the_receiver_asks_for_in_few_steps() -> None:
    rate, used, steps = SendingRate(), 900_000, list[tuple[float, int]]()
    for tick in range(200):
        # The line becomes slow after 5 s; the receiver's estimate falls, and grows by 8 % a second.
        now_s = tick / 10
        offered = 900_000 if now_s < 5 else round(250_000 * 1.08 ** (now_s - 5))
        chosen = rate.choose(used, offered, now_s)
        if chosen != used:
            steps.append((now_s, chosen))
        used = chosen
    assert steps[0] == (5.0, 250_000), "it yields at once"
    assert 4 <= len(steps) <= 6, "each is a key frame"
    assert used > 900_000 / 1.5


def test_it_yields_at_once_to_a_line_that_gets_slower_still() -> None:
    rate = SendingRate()
    assert rate.choose(900_000, 600_000, 10.0) == 600_000
    assert rate.choose(600_000, 300_000, 10.2) == 600_000
    assert rate.choose(600_000, 300_000, 10.5) == 300_000
    assert rate.choose(300_000, 280_000, 20.0) == 300_000
    assert rate.choose(300_000, 380_000, 20.0) == 300_000


def test_one_long_round_trip_takes_a_part_and_not_all() -> None:
    call = Browser(link=10_000_000)
    call.run(5)
    call.offered = 200_000
    assert call.run(6) == 1_500_000
    call.rate.heard(TRIP_S + 0.2, 0.0, call.now_s)
    assert 500_000 < call.run(0.4) < 1_500_000
    assert call.run(5) == 1_500_000


@pytest.mark.parametrize(("trip_s", "loss"), [(1.0, 0.0), (TRIP_S, 0.3)])
def test_a_long_queue_or_much_loss_takes_all_beyond_what_was_asked_for(
    trip_s: float, loss: float
) -> None:
    call = Browser(link=10_000_000)
    call.run(5)
    call.offered = 200_000
    assert call.run(6) == 1_500_000
    call.rate.heard(trip_s, loss, call.now_s)
    assert call.run(0.4) == 200_000


def test_it_never_goes_below_the_least() -> None:
    rate = SendingRate()
    assert rate.choose(1_500_000, 5_000, 1.0) == LEAST
    assert rate.choose(LEAST, 5_000, 9.0) == LEAST


def test_what_was_never_sent_is_not_usual() -> None:
    """An encoder that may not have more, by `--bit-rate`, is not slow when it is offered less."""
    rate, most = SendingRate(), 400_000
    for now_s, offered in ((1.0, 2_000_000), (4.0, 1_000_000), (8.0, 390_000)):
        assert min(rate.choose(most, offered, now_s), most) == most
        assert not rate.is_less_than_usual
    assert rate.choose(most, 150_000, 12.0) == 150_000
    assert rate.is_less_than_usual


def test_a_queue_on_the_way_here_lowers_the_way_back_at_once() -> None:
    """What the receiver says of the way back waits in that queue."""
    rate = SendingRate()
    used = rate.choose(1_500_000, 1_300_000, 0.0)
    assert rate.share(used, None, 10.0, has_queue=False) == used
    used = rate.share(used, 150_000, 10.1, has_queue=True)
    assert used == 150_000
    # What it said before the queue comes now.
    assert rate.choose(used, 1_300_000, 10.2) == 150_000
    for tenth in range(20):
        used = rate.share(used, 150_000, 10.3 + tenth / 10, has_queue=True)
    assert used == 150_000


def test_the_way_back_follows_the_way_here_after_a_queue() -> None:
    rate = SendingRate()
    used = rate.choose(1_500_000, 1_300_000, 0.0)
    used = rate.share(used, 150_000, 10.0, has_queue=True)
    for tenth in range(100):
        now_s = 11.0 + tenth / 10
        rate.heard(TRIP_S, 0.0, now_s)
        assert used <= 240_000
        used = rate.share(used, 240_000, now_s, has_queue=False)
        # It has seen a queue, and asks for little.
        used = rate.choose(used, 110_000, now_s)
    assert used == 240_000
    for tenth in range(30):
        now_s = 21.0 + tenth / 10
        rate.heard(TRIP_S, 0.0, now_s)
        used = rate.share(used, None, now_s, has_queue=False)
        used = rate.choose(used, 110_000, now_s)
    assert used == 1_500_000


def test_queues_on_the_way_here_are_no_failures_of_the_way_back() -> None:
    """Where each made it wait longer it would be poor for seconds after a slow line."""
    rate = SendingRate()
    used = rate.choose(1_500_000, 1_300_000, 0.0)
    for tenth in range(90):
        now_s = 10.0 + tenth / 10
        queue = tenth % 40 < 10
        if tenth % 10 == 0:
            rate.heard(TRIP_S + (0.3 if queue else 0.0), 0.0, now_s)
        used = rate.share(used, 150_000 if queue else 400_000, now_s, has_queue=queue)
        used = rate.choose(used, 110_000, now_s)
    for tenth in range(45):
        now_s = 19.0 + tenth / 10
        if tenth % 10 == 0:
            rate.heard(TRIP_S, 0.0, now_s)
        used = rate.share(used, 400_000 if tenth < 20 else None, now_s, has_queue=False)
        used = rate.choose(used, 110_000, now_s)
    assert used == 1_500_000
