"""What a monitor and its midwife have in common: made by the nursery, before there is either of them."""

from contextlib import ExitStack

from wherry.libcontainer import channel
from wherry.monitor import rundir
from wherry.monitor.stdio import open_stdio


class Berth:
    """Each of the two keeps its ends and closes the other's. `listener` is where the monitor is to be met."""

    def __init__(self) -> None:
        """Raises OSError; nothing is open then."""
        with ExitStack() as undo:
            self.ours, self.theirs = channel.pair()
            undo.callback(self.ours.close)
            undo.callback(self.theirs.close)
            self.streams = undo.enter_context(open_stdio(terminal=False, open_stdin=True, outlive=True))
            self.listener = undo.enter_context(rundir.listener())
            self._undo = undo.pop_all()

    def keep_ours(self) -> None:
        """In the monitor, when there is a midwife."""
        self.theirs.close()
        self.streams.keep_ours()

    def keep_theirs(self) -> None:
        """In the midwife."""
        self.ours.close()
        self.streams.keep_theirs()

    def close(self) -> None:
        """In the nursery, when there is a monitor."""
        self._undo.close()
