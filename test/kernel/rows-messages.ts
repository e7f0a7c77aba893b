/** Rows: what programs that read and write do with messages. */

import { refusedWrites } from "./rows.ts"
import type { Row } from "./rows.ts"

export const messageRows: readonly Row[] = [
  {
    name: "echo > wakes a cat that waits, and both end",
    script: "cat c.d/next & until_stat waiting-receivers 1; echo hello > c.d/send; wait",
    out: "hello\n",
  },
  {
    name: "the plain file: echo > waits until somebody reads",
    script: "echo hello > c & until_stat waiting-senders 1; head -n 1 c; wait $!; echo $?",
    out: "hello\n0\n",
  },
  {
    name: "the plain file: echo >> wakes a reader that waits",
    script: "head -n 1 c & until_stat waiting-receivers 1; echo hello >> c; wait",
    out: "hello\n",
  },
  {
    name: "dchan's own example: mkdir, touch, echo > and cat of the plain file",
    script: `mkdir data; touch data/input; echo hello > data/input & until_stat waiting-senders 1 data/input
      timeout 2 cat data/input; wait $!; echo $?`,
    out: "hello\n0\n",
  },
  {
    name: "writing to a name that is not there makes a channel",
    script: "echo first > new & until [ -e new ]; do pause; done; head -n 1 new; wait; cat new.d/ctl | head -n 1",
    out: "first\nsize 0\n",
  },
  {
    name: "printf of two lines is two writes, and so two messages",
    script: "printf 'a\\nb\\n' > c.d/send & x=$(cat c.d/next); y=$(cat c.d/next); wait; echo \"[$x] [$y]\"",
    out: "[a] [b]\n",
  },
  {
    name: "cat of the stream prints each message when it comes, and ends when the channel is closed",
    script: `cat c.d/recv > $T.seen & echo one > c.d/send; until_text $T.seen one
      echo two > c.d/send; echo close > c.d/ctl; wait $!; echo $?; cat $T.seen`,
    out: "0\none\ntwo\n",
  },
  {
    name: "head -1 takes one message and leaves the next one",
    script: "{ echo a; echo b; } > c.d/send & head -n 1 c.d/recv; head -n 1 c.d/recv; wait $!; echo $?",
    out: "a\nb\n0\n",
  },
  {
    name: "head -c takes a part of a message, and the sender is told that it has arrived",
    script: 'echo hello > c.d/send & head -c 3 c.d/recv; wait $!; echo " $?"',
    out: "hel 0\n",
  },
  {
    name: "a shell reads one line of a message of two, and the same open file has the other",
    script: `printf '%s' $'a\\nb\\n' > $T.two; dd if=$T.two of=c.d/send bs=4 status=none &
      { read -r x; read -r y; } < c.d/recv; wait; echo "$y$x"`,
    out: "ba\n",
  },
  {
    name: "tail -f prints each message when it comes",
    // GNU tail waits for inotify, in vain, where it takes the file for a local one.
    dialects: ["9p2000.L"],
    script: `tail -n +1 -s 0.1 -f c.d/tail > $T.seen & until_stat readers 1; echo one > c.d/send; until_text $T.seen one
      { echo two; echo three; } > c.d/send; until_text $T.seen $'one\\ntwo\\nthree'; kill $!; cat $T.seen`,
    out: "one\ntwo\nthree\n",
  },
  {
    name: "tail -f < and busybox's tail -f do so over all dialects",
    script: `tail -n +1 -s 0.1 -f < c.d/tail > $T.seen & until_stat readers 1
      echo one > c.d/send; echo two > c.d/send; until_text $T.seen $'one\\ntwo'; kill $!; until_stat readers 0
      busybox tail -n +1 -f c.d/tail > $T.more & until_stat readers 1
      echo three > c.d/send; until_text $T.more three; kill $!; cat $T.seen $T.more`,
    out: "one\ntwo\nthree\n",
  },
  {
    name: "dd bs=4 gets a message in pieces, the last one short",
    script: "echo 123456789 > c.d/send & dd bs=4 if=c.d/next status=noxfer; wait",
    out: "123456789\n",
    err: /^2\+1 records in\n2\+1 records out\n$/,
  },
  {
    name: "dd bs=4 count=2 on the stream takes the message, and its rest is gone with the open file",
    script: "{ echo 123456789; echo next; } > c.d/send & dd bs=4 count=2 if=c.d/recv status=none; cat c.d/next; wait",
    out: "12345678next\n",
  },
  {
    name: "dd conv=fsync to put sends before it closes",
    script: "cat c.d/next & printf %s whole | dd of=c.d/put conv=fsync status=none; wait",
    out: "whole",
  },
  {
    name: "everything written to put is one message",
    script: "{ echo a; echo b; echo c; } > c.d/put & cat c.d/next; wait",
    out: "a\nb\nc\n",
  },
  {
    name: "put of 100,000 bytes is one message",
    script:
      "seq 100000 | head -c 100000 > c.d/put & cat c.d/next > $T.got; wait; seq 100000 | head -c 100000 | cmp - $T.got; wc -c < $T.got",
    out: "100000\n",
  },
  {
    name: "a write larger than the mount's message size is split, in order",
    script: `seq 100000 | head -c 300000 > $T.big; dd if=$T.big of=c.d/send bs=300000 status=none
      count_of received; echo close > c.d/ctl; cat c.d/recv | cmp - $T.big`,
    out: "3\n",
    settings: { size: 10 },
  },
  {
    name: "tee sends and copies",
    script: "cat c.d/next & echo both | tee c.d/send > $T.copy; wait; cat $T.copy",
    out: "both\nboth\n",
  },
  {
    name: "cp from next gets one message, cp to put sends a file as one",
    script: `echo file > c.d/send & cp c.d/next $T.got; wait; cat $T.got
      cat c.d/next & cp $T.got c.d/put; wait`,
    out: "file\nfile\n",
  },
  {
    name: "wc counts one message",
    script: "echo one two > c.d/send & wc -w < c.d/next; wait",
    out: "2\n",
  },
  {
    name: "$(<f) of next is one message",
    script: 'echo captured > c.d/send & x=$(<c.d/next); wait; echo "[$x]"',
    out: "[captured]\n",
  },
  {
    name: "read -r gets a message each time",
    script: `for i in 1 2 3; do echo "line $i"; done > c.d/send &
      for i in 1 2 3; do read -r line < c.d/next; echo "<$line>"; done; wait`,
    out: "<line 1>\n<line 2>\n<line 3>\n",
  },
  {
    name: "while read goes through messages until the channel is closed",
    script: `{ for i in 1 2 3; do echo "line $i" > c.d/send; done; echo close > c.d/ctl; } &
      while read -r line; do echo "<$line>"; done < c.d/recv; wait`,
    out: "<line 1>\n<line 2>\n<line 3>\n",
  },
  {
    name: "grep -m1 ends with the first message that matches",
    script: "{ echo a; echo b; echo c; } > c.d/send & grep -m1 b c.d/recv; cat c.d/next; wait",
    out: "b\nc\n",
  },
  {
    name: "peek shows the message that waits and leaves it",
    script: "cat c.d/peek; echo seen > c.d/send & until_stat waiting-senders 1; cat c.d/peek; cat c.d/next; wait",
    out: "seen\nseen\n",
  },
  {
    name: "take hands out under a lease until ack",
    script: `echo job > c.d/send & IFS=$'\\t' read -r id text < c.d/take; echo "$text"
      echo "$id fail" > c.d/ack; IFS=$'\\t' read -r id text < c.d/take; echo "$text again"
      echo "$id ok" > c.d/ack; wait $!; echo $?; echo "$id ok" > c.d/ack`,
    out: "job\njob again\n0\n",
    err: refusedWrites("No such file or directory"),
    code: 1,
    settings: { deliver: "done" },
  },
  {
    name: "a buffer lets senders go on without a receiver",
    script: "echo a > c.d/send; echo b > c.d/send; count_of buffered; cat c.d/next c.d/next",
    out: "2\na\nb\n",
    settings: { size: 2 },
  },
  {
    name: "two readers get a message each",
    script: `cat c.d/next > $T.1 & cat c.d/next > $T.2 & until_stat waiting-receivers 2
      echo a > c.d/send; echo b > c.d/send; wait; cat $T.1 $T.2 | sort`,
    out: "a\nb\n",
  },
  {
    name: "two readers of a multicast channel both get the message",
    script: `cat c.d/next > $T.1 & cat c.d/next > $T.2 & until_stat waiting-receivers 2
      echo all > c.d/send; wait; cat $T.1 $T.2`,
    out: "all\nall\n",
    settings: { mode: "multicast" },
  },
  {
    name: "ten writers wait, and each one's message is read once",
    script: `for i in 0 1 2 3 4 5 6 7 8 9; do echo $i > c.d/send & done
      for i in 0 1 2 3 4 5 6 7 8 9; do cat c.d/next; done | sort | tr -d '\\n'; wait`,
    out: "0123456789",
  },
  {
    name: "ten writers of 20 messages and two readers: all arrive once, each writer's in order",
    script: `cat c.d/recv@1 > $T.1 & cat c.d/recv@2 > $T.2 & readers=$!
      writers=
      for w in 0 1 2 3 4 5 6 7 8 9; do
        for n in $(seq 20); do echo "$w $n"; done > c.d/send@$w & writers="$writers $!"
      done
      wait $writers; echo close > c.d/ctl; wait
      cat $T.1 $T.2 | wc -l; cat $T.1 $T.2 | sort -u | wc -l
      sort -s -k1,1n -c $T.1 2> $T.mixed; for f in $T.1 $T.2; do
        awk '$2 <= last[$1] { print "out of order:", $0 } { last[$1] = $2 }' $f
      done`,
    out: "200\n200\n",
  },
  {
    name: "lines on: each line is a message, however it was written",
    script: `printf '%s' $'one\\ntwo\\nthr' > $T.a; { cat $T.a; echo ee; } > c.d/send &
      for i in 1 2 3; do echo "[$(<c.d/next)]"; done; wait; count_of received`,
    out: "[one]\n[two]\n[three]\n3\n",
    settings: { lines: true },
  },
  {
    name: "select takes the case that can happen",
    script: `echo chosen > c.d/send & until_stat waiting-senders 1; touch other
      exec 3<> $ROOT/select/clone; printf '%s\\n' "$ROW/other?" "$ROW/c?" 'timeout 5s' >&3
      IFS=$'\\t' read -r which message <&3; wait; echo "\${which#$ROW} $message"`,
    out: "/c? chosen\n",
  },
  {
    name: "select with a default does not wait",
    script: `exec 3<> $ROOT/select/clone; printf '%s\\n' "$ROW/c?" default >&3; cat <&3`,
    out: "default\n",
  },
  {
    name: "select sends when somebody receives",
    script: `cat c.d/next > $T.got & until_stat waiting-receivers 1
      exec 3<> $ROOT/select/clone; printf '%s\\n' "$ROW/c!payload" 'timeout 5s' >&3; read -r which <&3
      wait; echo "\${which#$ROW} $(<$T.got)"`,
    out: "/c! payload\n",
  },
  {
    name: "a select with a name is written once and read again and again; its timeout ends a wait",
    script: `name=$ROOT/select/\${ROW#/}; printf '%s\\n' "$ROW/c?" 'timeout 300ms' > $name
      echo a > c.d/send & until_stat waiting-senders 1; cat $name | cut -f 2; cat $name; wait`,
    out: "a\ntimeout\n",
  },
  {
    name: "a select that is killed takes nothing",
    script: `exec 3<> $ROOT/select/clone; echo "$ROW/c?" >&3; timeout 0.3 cat <&3; echo $?
      until_stat waiting-receivers 0; echo kept > c.d/send & cat c.d/next; wait`,
    out: "124\nkept\n",
  },
]
