/** Rows: the tree as files. */

import { refusedWrites } from "./rows.ts"
import type { Row } from "./rows.ts"

export const fileRows: readonly Row[] = [
  {
    name: "ls shows a channel and its folder, and its roles",
    script: "ls; ls c.d",
    out: "c\nc.d\nack\nctl\nnext\npeek\nput\nrecv\nsend\nstat\ntail\ntake\n",
  },
  {
    name: "ls -l shows who may do what",
    script: "ls -l c.d | awk 'NR > 1 { print $1, $5, $NF }'",
    out: [
      "--w--w--w- 0 ack",
      "-rw-r--r-- 0 ctl",
      "-r--r--r-- 0 next",
      "-r--r--r-- 0 peek",
      "--w--w--w- 0 put",
      "-r--r--r-- 0 recv",
      "--w--w--w- 0 send",
      "-r--r--r-- 0 stat",
      "-r--r--r-- 0 tail",
      "-r--r--r-- 0 take",
      "",
    ].join("\n"),
  },
  {
    name: "ls -R and find go through folders and take nothing",
    script: "mkdir f; touch f/x; ls -R . | grep -c .; find . -maxdepth 2 -name 'x*' | sort; count_of received",
    out: "29\n./f/x\n./f/x.d\n0\n",
  },
  {
    name: "stat tells a regular file of size 0 that belongs to somebody",
    script: "stat -c '%s %A %F %o' c; stat -c '%A %F' c.d",
    out: /^0 -rw-rw-rw- regular empty file \d+\ndr-xr-xr-x directory\n$/,
  },
  {
    name: "touch makes a channel, and touches one that is there",
    script: "touch new c; ls; cat new.d/ctl | head -n 1",
    out: "c\nc.d\nnew\nnew.d\nsize 0\n",
  },
  {
    name: "a name that ends in .d cannot be made",
    script: "touch new.d; mkdir other.d; ls",
    out: "c\nc.d\n",
    err: /Invalid argument[^]*Invalid argument/,
  },
  {
    name: "mkdir and rmdir make and remove folders, but not what is full",
    script: "mkdir f; touch f/x; rmdir f; rm f/x; rmdir f; ls",
    out: "c\nc.d\n",
    err: /rmdir: failed to remove 'f': (?:Directory not empty|Device or resource busy)/,
  },
  {
    name: "rm removes a channel with its roles; a role cannot be removed",
    script: "rm c.d/send; rm c; ls",
    out: "",
    err: /^rm: cannot remove 'c.d\/send': .*\n$/,
  },
  {
    name: "mv is refused, and the channel stays",
    script: "mv c d; ls",
    out: "c\nc.d\n",
    err: /^mv: cannot move 'c' to 'd': /,
  },
  {
    name: "chmod changes what ls shows, for the channel and its roles",
    script: "chmod 640 c; stat -c %A c c.d/send c.d/recv",
    out: "-rw-r-----\n--w-------\n-r--r-----\n",
  },
  {
    name: "who may not read may not receive, who may not write may not send; the owner sets",
    // 9P2000 knows names only.
    dialects: ["9p2000.u", "9p2000.L"],
    script: `chmod 755 .; chmod 644 c; su user -c 'cat c.d/peek; echo x > c.d/send; echo size 5 > c.d/ctl; rm c'
      chmod 600 c; su user -c 'cat c.d/recv'; count_of received`,
    out: "0\n",
    err: /^.*send: Permission denied\n.*ctl: Permission denied\nrm: .*Permission denied\ncat: .*Permission denied\n$/,
  },
  {
    name: "ln -s, mkfifo and truncate do nothing to channels",
    script: "ln -s c link; mkfifo pipe; truncate -s 100 c; stat -c %s c; ls",
    out: "0\nc\nc.d\n",
    err: /^ln: .*\nmkfifo: .*\n(?:truncate: .*\n)?$/,
  },
  {
    name: "a channel's ctl tells its settings and takes new ones",
    script: "echo size 3 > c.d/ctl; printf 'max-message 4KiB\\n' >> c.d/ctl; grep -E '^(size|max-message) ' c.d/ctl",
    out: "size 3\nmax-message 4KiB\n",
  },
  {
    name: "ctl refuses what it does not know, and changes nothing",
    script: "echo colour red > c.d/ctl; echo size -1 > c.d/ctl; grep -E '^size ' c.d/ctl",
    out: "size 0\n",
    err: refusedWrites("Invalid argument", "Invalid argument"),
  },
  {
    name: "the root's ctl has a line of six columns for each channel and sets sizes",
    script: `echo "$ROW/c 256" >> $ROOT/ctl; awk -F'\\t' -v c="$ROW/c" '$1 == c { print NF, $2 }' $ROOT/ctl`,
    out: "6 256\n",
  },
  {
    name: "the root's ctl obeys all lines of a write or none; the attach name is the folder to see",
    script: `another_mount $T.m cache=none,aname=$ROW
      printf '%s\\n' '/c 5' '/none 5' > $T.set; cat $T.set > $T.m/ctl; grep '^size ' c.d/ctl
      touch d; printf '%s\\n' '/c 5' '/d mode multicast' > $T.set; cat $T.set > $T.m/ctl
      grep -hE '^(size|mode) ' c.d/ctl d.d/ctl; cut -f 1,2 $T.m/ctl; umount $T.m`,
    out: "size 0\nsize 5\nmode unicast\nsize 0\nmode multicast\n/c\t5\n/d\t0\n",
    err: refusedWrites("No such file or directory"),
  },
  {
    name: "a resize lets those who wait go on",
    script:
      "echo waits > c.d/send & until_stat waiting-senders 1; echo size 1 > c.d/ctl; wait $!; echo $?; cat c.d/next",
    out: "0\nwaits\n",
  },
  {
    name: "stat counts",
    script: "echo 12345 > c.d/send & cat c.d/next; wait; count_of received; count_of bytes-in; count_of delivered",
    out: "12345\n1\n6\n1\n",
  },
  {
    name: "df answers",
    script: "df . | wc -l",
    out: "2\n",
  },
  {
    name: "an overlay reads channels of its lower folder; what is written there never arrives",
    script: `mkdir -p $T.up $T.work $T.over
      mount -t overlay overlay -o lowerdir=$ROOT$ROW,upperdir=$T.up,workdir=$T.work $T.over || exit
      echo through > c.d/send & cat $T.over/c.d/next; wait
      echo lost > $T.over/c; echo $?; count_of received; cat $T.over/c; umount $T.over`,
    out: "through\n0\n1\nlost\n",
  },
]
