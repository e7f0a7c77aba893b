/** Holds the guest that the other tests of this folder stand on to its promises. */

import assert from "node:assert/strict"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { after, before, suite, test } from "node:test"
import { Vm, runInVm, whyNoVm } from "./vm.ts"

const kernel = "6.12"
const skip = whyNoVm(kernel) ?? false

suite("a guest in an emulated machine", { skip, timeout: 60_000 }, () => {
  let vm: Vm
  before(async () => {
    vm = await Vm.boot({ kernel })
  })
  after(() => vm[Symbol.asyncDispose]())

  test("a script has its own output, errors and exit status", async () => {
    const ended = await vm.run("uname -r; echo wrong >&2; exit 7")
    assert.equal(ended.code, 7)
    assert.match(ended.stdout, /^6\.12\./)
    assert.equal(ended.stderr, "wrong\n")
  })

  test("scripts run at the same time and hear of each other", async () => {
    const reader = vm.start("mkfifo /tmp/pipe; echo ready; exec cat /tmp/pipe")
    await reader.says("ready")
    const writer = await vm.run("echo through the pipe > /tmp/pipe")
    assert.equal(writer.code, 0)
    assert.deepEqual(await reader.within(5000), { code: 0, stdout: "ready\nthrough the pipe\n", stderr: "" })
  })

  test("output comes while the script runs, and a signal ends it", async () => {
    const sleeper = vm.start("echo first; sleep 100")
    await sleeper.says("first")
    sleeper.kill("SIGINT")
    assert.equal((await sleeper.within(5000)).code, 130)
    const stubborn = vm.start("trap '' TERM; echo deaf; sleep 100")
    await stubborn.says("deaf")
    stubborn.kill("SIGTERM")
    stubborn.kill("SIGKILL")
    assert.equal((await stubborn.within(5000)).code, 137)
  })

  test("every byte of long output arrives in order", async () => {
    const { stdout } = await vm.run("seq 1 50000")
    assert.equal(stdout, Array.from({ length: 50_000 }, (_, at) => `${at + 1}\n`).join(""))
  })

  test("a script that hangs is killed at its limit, and the error shows what it had written", async () => {
    await assert.rejects(
      vm.run("echo so far; exec sleep 77", { timeoutMs: 300 }),
      /did not end within 300 ms[^]*so far/,
    )
    const gone = "exec 9<>/tmp/never; while pidof sleep > /dev/null; do read -r -t 0.05 -u 9; done"
    assert.equal((await vm.run(gone)).code, 0)
  })

  test("what a script leaves running does not keep its end back", async () => {
    const ended = await vm.run("sleep 100 & echo over")
    assert.deepEqual([ended.code, ended.stdout], [0, "over\n"])
  })

  test("a mount that fails says so in mount's words", async () => {
    const closed = createServer().listen(0, "127.0.0.1")
    await once(closed, "listening")
    const { port } = closed.address() as AddressInfo
    await new Promise((done) => closed.close(done))
    await assert.rejects(vm.mount({ port, version: "9p2000.L", at: "/n/none" }), /cannot mount port \d+ .*refused/i)
  })

  test("a panic of the kernel rejects what runs, with the console's last lines, and nothing is left", async () => {
    const waiting = vm.start("sleep 100")
    const panic = vm.run("echo c > /proc/sysrq-trigger")
    await assert.rejects(panic, /the guest is gone[^]*Kernel panic/)
    await assert.rejects(waiting.ended, /the guest is gone/)
    await assert.rejects(vm.run("true"), /the guest is gone/)
    await vm[Symbol.asyncDispose]()
    assert.equal(existsSync(`/proc/${vm.pid}`), false)
  })
})

test("one script in a guest of its own, with further programs of this machine", { skip, timeout: 60_000 }, async () => {
  const ended = await runInVm({ kernel, script: "getconf PAGE_SIZE", programs: ["getconf"] })
  assert.deepEqual(ended, { code: 0, stdout: "4096\n", stderr: "" })
})
