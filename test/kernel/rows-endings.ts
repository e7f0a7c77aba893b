/** Rows: ends, on purpose and otherwise: signals, deadlines, removal, umount, and the lock of newer kernels. */

import { refusedWrites } from "./rows.ts"
import type { Row } from "./rows.ts"

/** The waits of the scripts are over when the server says so; nothing is left to a pause. */
export const endingRows: readonly Row[] = [
  {
    name: "Ctrl+C ends a cat that waits, and takes no message",
    script: `set -m; cat c.d/recv & until_stat waiting-receivers 1; kill -INT $!; wait $!; echo $?; set +m
      until_stat readers 0; echo kept > c.d/send & cat c.d/next; wait`,
    out: "130\nkept\n",
    err: /Interrupt/,
  },
  {
    name: "timeout ends a cat that waits",
    script: "timeout 0.3 cat c.d/next; echo $?; until_stat readers 0; count_of waiting-receivers",
    out: "124\n0\n",
  },
  {
    name: "kill -9 of a writer that waits takes its message back",
    script: `echo lost > c.d/send & until_stat waiting-senders 1; kill -9 $!; wait $!; echo $?
      until_stat waiting-senders 0; cat c.d/recv@try`,
    out: "137\n",
    err: /cat: .*: Resource temporarily unavailable/,
    code: 1,
  },
  {
    name: "kill -9 of a reader that waits lets the next one have the message",
    script: `cat c.d/next & first=$!; until_stat waiting-receivers 1; kill -9 $first; wait $first; echo $?
      until_stat waiting-receivers 0; echo kept > c.d/send & cat c.d/next; wait $!; echo $?`,
    out: "137\nkept\n0\n",
    err: /Killed/,
  },
  {
    name: "recv with a deadline fails with ETIMEDOUT",
    script: "cat c.d/recv@300ms",
    out: "",
    err: /Connection timed out/,
    code: 1,
  },
  {
    name: "send with a deadline fails with ETIMEDOUT, and the message is gone",
    script: "echo late > c.d/send@300ms; echo $?; count_of waiting-senders; cat c.d/peek",
    out: "1\n0\n",
    err: refusedWrites("Connection timed out"),
  },
  {
    name: "try does not wait: a receiver gets EAGAIN without a sender, a message with one",
    script: `cat c.d/recv@try
      echo there > c.d/send & until_stat waiting-senders 1; cat c.d/next@try; wait`,
    out: "there\n",
    err: /Resource temporarily unavailable/,
  },
  {
    name: "try does not wait: a sender is refused without a receiver, and heard with one",
    script: `echo x > c.d/send@try; echo $?
      cat c.d/next & until_stat waiting-receivers 1; echo there > c.d/send@try; wait`,
    out: "1\nthere\n",
    err: refusedWrites("Device or resource busy"),
  },
  {
    name: "the setting timeout holds for all waits",
    script: "cat c.d/recv",
    out: "",
    err: /Connection timed out/,
    code: 1,
    settings: { timeoutMs: 300 },
  },
  {
    name: "a message larger than max-message is refused",
    script: "echo 12345678 > c.d/send; echo $?; echo 12345678 > c.d/put; count_of received",
    out: "1\n0\n",
    err: refusedWrites("Message too long", "Message too long"),
    settings: { maxMessage: 4 },
  },
  {
    name: "rm tells a reader that waits",
    script: "cat c.d/next & until_stat waiting-receivers 1; rm c; wait $!; echo $?",
    out: "1\n",
    err: /^cat: c.d\/next: Identifier removed\n$/,
  },
  {
    name: "rm tells a writer that waits",
    script: "echo x > c.d/send & until_stat waiting-senders 1; rm c; wait $!; echo $?",
    out: "1\n",
    err: refusedWrites("Identifier removed"),
  },
  {
    name: "a closed channel refuses senders",
    script: "echo close > c.d/ctl; echo x > c.d/send; echo $?; cat c.d/recv; echo $?",
    out: "1\n0\n",
    err: refusedWrites("Broken pipe"),
  },
  {
    name: "umount waits for nobody: it is refused while a reader waits, and works behind it",
    script: `another_mount $T.m
      cat $T.m$ROW/c.d/next & until_stat waiting-receivers 1; umount $T.m; echo $?
      kill -9 $!; wait $!; until_stat readers 0; umount $T.m; echo $?`,
    out: "1\n0\n",
    err: /busy/,
  },
  {
    name: "umount -l leaves the reader its message",
    script: `another_mount $T.m
      cat $T.m$ROW/c.d/next & until_stat waiting-receivers 1; umount -l $T.m; echo $?
      echo late > c.d/send; wait`,
    out: "0\nlate\n",
  },
  {
    name: "two mounts do not stand in each other's way, with the plain file",
    script: `another_mount $T.m
      head -n 1 $T.m$ROW/c & until_stat waiting-receivers 1; echo across > c; wait; umount $T.m`,
    out: "across\n",
  },
  {
    name: "a mount with cache=mmap reads and writes as one without a cache",
    script: `another_mount $T.m cache=mmap; cat $T.m$ROW/c.d/next & until_stat waiting-receivers 1
      echo there > c.d/send; wait; cat c.d/next & until_stat waiting-receivers 1
      echo back > $T.m$ROW/c.d/send; wait; umount $T.m`,
    out: "there\nback\n",
  },
  {
    name: "newer kernels read channels with cache=loose and cache=readahead, too",
    kernels: ["6.12"],
    script: `for cache in loose readahead; do
        another_mount $T.$cache cache=$cache; cat $T.$cache$ROW/c.d/next & until_stat waiting-receivers 1
        echo $cache > c.d/send; wait; umount $T.$cache
      done`,
    out: "loose\nreadahead\n",
  },
  {
    name: "a small message size splits at its own bound",
    script: `another_mount $T.m cache=none,msize=8192; seq 5000 | head -c 20000 > $T.big
      dd if=$T.big of=$T.m$ROW/c.d/send bs=20000 status=none; count_of received
      echo close > c.d/ctl; cat $T.m$ROW/c.d/recv | cmp - $T.big; umount $T.m`,
    out: "3\n",
    settings: { size: 10 },
  },
  {
    name: "the plain file: echo > wakes a reader that waits",
    kernels: ["6.1"],
    script: "head -n 1 c & until_stat waiting-receivers 1; echo hello > c; wait",
    out: "hello\n",
  },
  {
    name: "the lock trap: on newer kernels echo > of the plain file hangs behind a reader of the same mount",
    kernels: ["6.12"],
    // State D: it waits for the inode's lock, and no signal reaches it until the reader is gone.
    script: `cat c & reader=$!; until_stat waiting-receivers 1
      echo hello > c & writer=$!
      until read -r _ _ state _ < /proc/$writer/stat; [ "$state" = D ]; do pause; done
      sleep 0.3; count_of received; count_of waiting-senders
      kill $reader; wait $reader; cat c.d/next; wait $writer; echo $?`,
    out: "0\n0\nhello\n0\n",
  },
  {
    name: "the way out of the lock trap: a word behind @ is an inode of its own",
    script: `head -n 1 c.d/recv@a & until_stat waiting-receivers 1; head -n 1 c.d/recv@b & until_stat waiting-receivers 2
      echo x > c.d/send@a; echo y > c.d/send@b; wait`,
    out: /^(?:x\ny|y\nx)\n$/,
  },
  {
    name: "behind a refused write newer kernels fail the next call on the inode once, when somebody has it open",
    kernels: ["6.12"],
    // The server is not asked: the kernel keeps the error of the write for the inode, as for writes to a disk.
    script: `echo nonsense > $T.bad; exec 5< c.d/ctl
      dd if=$T.bad of=c.d/ctl status=none; echo $?; cat <&5; echo $?; grep '^size ' <&5`,
    out: "1\n1\nsize 0\n",
    err: /No space left on device\ncat: -: Input\/output error\n$/,
  },
  {
    name: "a word behind @ keeps the errors of others away, too",
    script: `echo nonsense > $T.bad; exec 5< c.d/ctl@me
      dd if=$T.bad of=c.d/ctl@you status=none; echo $?; grep '^size ' <&5`,
    out: "1\nsize 0\n",
    err: refusedWrites("Invalid argument"),
  },
]
