"""Messages arrive whole, with all their descriptors, or not at all."""

import os

import pytest

from wherry.monitor import wire


def receive(receiver, connection):
    while (received := receiver.receive(connection)) is None:
        pass
    return received


@pytest.mark.parametrize(("size", "count"), [(0, 0), (10, 3), (32768, 250), (32769, 250), (5_000_000, 600), (3, 751)])
def test_size_and_number_do_not_matter(size, count):
    ours, theirs = wire.pair()
    null = os.open("/dev/null", os.O_RDONLY)
    wire.send(ours, b"x" * size, (null,) * count)
    body, fds = receive(wire.Receiver(), theirs)
    assert body == b"x" * size
    assert len(fds) == count
    assert not any(os.get_inheritable(fd) for fd in fds)
    wire.close_all([*fds, null])
    ours.close()
    theirs.close()


def test_the_end_is_told_and_what_came_ahead_is_closed():
    ours, theirs = wire.pair()
    null = os.open("/dev/null", os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    wire.send_packet(ours, (b"F", (null,) * 10))
    receiver = wire.Receiver()
    assert receiver.receive(theirs) is None
    ours.close()
    with pytest.raises(wire.ConnectionLost):
        receiver.receive(theirs)
    assert len(os.listdir("/proc/self/fd")) == before - 1
    theirs.close()
    os.close(null)
