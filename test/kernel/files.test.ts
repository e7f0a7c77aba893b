/** The 9P server below a real kernel, with a tree of ordinary files; and what Wireshark makes of the conversation. */

import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import { captureNinep, withoutTshark } from "../kit/ninep-capture.ts"
import { listenNinep } from "../kit/ninep-listener.ts"
import { sampleTree } from "../kit/ram-tree.ts"
import { Vm, whyNoVm } from "./vm.ts"
import type { Dialect } from "./vm.ts"

const kernel = "6.12"
const skip = whyNoVm(kernel) ?? false

/** Prints a line for each thing that works; `set -e` stops at what does not. */
const script = `
set -e
cat hello deep/er/est
ls many | wc -l
md5sum < long
echo new > made; echo more >> made; cat made; rm made; test ! -e made
mkdir d; touch d/x; mv d/x d/y; ls d; ! rmdir d 2>/dev/null; rm d/y; rmdir d
cp long copy; cmp long copy; rm copy
dd if=/dev/zero of=big bs=1M count=1 conv=fsync 2>/dev/null; stat -c %s big; rm big
chmod 600 hello; truncate -s 5 hello; stat -c '%a %s %F' hello
test $(stat -c %o hello) -ge 65536
find . | wc -l
! ln -s a b 2>/dev/null; ! ln long hard 2>/dev/null; ! mkfifo f 2>/dev/null
code=0; timeout 1 cat pipe || code=$?; echo $code
`

const printed = `hello, world
bottom
500
71c284bece05ddaa099ffad2854c2f2a  -
new
more
y
1048576
600 5 regular file
509
124
`

suite("ordinary files on Linux", { skip, timeout: 90_000 }, () => {
  let vm: Vm
  before(async () => {
    vm = await Vm.boot({ kernel })
  })
  after(() => vm[Symbol.asyncDispose]())

  for (const version of ["9p2000.L", "9p2000.u", "9p2000"] as const satisfies Dialect[]) {
    test(`programs find what they expect, over ${version}`, async () => {
      const tree = sampleTree()
      await using listener = await listenNinep(tree)
      await using tap = await captureNinep(listener.port)
      const at = `/n/${version}`
      await vm.mount({ port: tap.port, version, at })
      assert.deepEqual(await vm.run(`cd ${at}${script}`), { code: 0, stdout: printed, stderr: "" })
      assert.equal((await vm.run(`umount ${at}`)).code, 0)
      const { opened, closed } = tree.counts
      assert.equal(closed, opened, "the kernel closes what it opened")
      if (withoutTshark !== false) return
      const { messages, malformed } = await tap.capture.decode()
      assert.deepEqual(malformed, [])
      assert(messages.includes("Tflush"))
    })
  }
})
