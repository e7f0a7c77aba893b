"""A wire between two interfaces: delay, loss, a rate with a buffer in front. For kernels without netem; needs root.

    network-wire.py IFACE_A IFACE_B DELAY_MS LOSS BYTES_PER_S BUFFER_BYTES

Both interfaces lie in the namespace it runs in; what comes in at one goes out at the other. It says "ready" and runs until
its input ends.
"""

import collections
import random
import select
import socket
import sys
import time

SOL_PACKET, PACKET_IGNORE_OUTGOING, ETH_P_ALL = 263, 23, 3


def opened(name):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    wire.bind((name, 0))
    wire.setblocking(False)
    return wire


def main(first, second, delay_ms, loss, bytes_per_s, buffer_bytes):
    ends = [opened(first), opened(second)]
    queues = [collections.deque(), collections.deque()]
    free_at = [0.0, 0.0]
    poll = select.epoll()
    for end in ends:
        poll.register(end.fileno(), select.EPOLLIN)
    poll.register(sys.stdin.fileno(), select.EPOLLIN)
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        due = min((queue[0][0] for queue in queues if queue), default=now + 1)
        for descriptor, _ in poll.poll(max(0.0, due - now)):
            if descriptor == sys.stdin.fileno():
                return
        for at, end in enumerate(ends):
            for _ in range(256):
                try:
                    frame = end.recv(65536)
                except BlockingIOError:
                    break
                now = time.monotonic()
                waiting = max(0.0, free_at[at] - now) * bytes_per_s
                if random.random() < loss or waiting + len(frame) > buffer_bytes:
                    continue
                free_at[at] = max(free_at[at], now) + len(frame) / bytes_per_s
                queues[at].append((free_at[at] + delay_ms / 1000, frame))
        now = time.monotonic()
        for at, queue in enumerate(queues):
            out = ends[1 - at]
            while queue and queue[0][0] <= now:
                try:
                    out.send(queue.popleft()[1])
                except OSError:
                    pass


main(sys.argv[1], sys.argv[2], *map(float, sys.argv[3:7]))
