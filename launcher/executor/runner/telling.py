"""What the runner has to say in; said to its keeper, at once or when there is time for that, out."""

from __future__ import annotations

from _thread import allocate_lock
from contextlib import suppress

from launcher.kernel.threads import Moment, Running, start
from launcher.vms.channel import Channel, Closed
from launcher.vms.words import Word, say

MOMENT = 1.0  # seconds that words are kept back at most: the keeper may have to end a runner that says nothing


class Telling:
    """In order, whichever thread says it."""

    def __init__(self, keeper: Channel) -> None:
        self._keeper = keeper
        self._unsaid: list[Word] = []
        self._keeps_back, self._at_end = False, Moment()
        self._patience: Running | None = None
        self._lock = allocate_lock()

    def add(self, word: Word) -> None:
        """To be said with the next one."""
        with self._lock:
            self._unsaid.append(word)

    def say(self, word: Word) -> None:
        self.add(word)
        if not self._keeps_back:
            self.let_out()

    def keep_back(self) -> None:
        """Until `let_out`. Who is told anything wakes up, and may take the processor from who tells it."""
        self._keeps_back = True
        try:
            self._patience = start(self._lose_patience)
        except OSError:  # there is no thread to be had
            self._keeps_back = False

    def let_out(self) -> None:
        with self._lock:
            words, self._unsaid = self._unsaid, []
            with suppress(Closed):  # it will be seen as a stop; until then there is nobody to tell
                for one in words:
                    self._keeper.send(say(one))

    def end(self) -> None:
        """Nothing is kept back any more."""
        self._keeps_back = False
        self.let_out()
        self._at_end.come()
        if self._patience:
            self._patience.join()

    def _lose_patience(self) -> None:
        """Whatever the kernel is at: it waits a minute for a device that does not come out of its reset."""
        if not self._at_end.wait(MOMENT):
            self._keeps_back = False
            self.let_out()
