/**
 * A table of shell commands against channels, through the 9P client of real Linux kernels: two kernels, three dialects. A
 * guest boots once for each kernel and has a mount for each dialect; rows run beside each other, each in a folder of its
 * own.
 */

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { Channel } from "../../src/capabilities/channels/core/channel.ts"
import { until } from "../kit/processes.ts"
import { startChannelServer } from "./channel-server.ts"
import type { ChannelServer } from "./channel-server.ts"
import { endingRows } from "./rows-endings.ts"
import { fileRows } from "./rows-files.ts"
import { messageRows } from "./rows-messages.ts"
import type { Row } from "./rows.ts"
import { Vm, whyNoVm } from "./vm.ts"
import type { Dialect } from "./vm.ts"

const rows: readonly Row[] = [...messageRows, ...fileRows, ...endingRows]
const dialects: readonly Dialect[] = ["9p2000", "9p2000.u", "9p2000.L"]
const prelude = readFileSync(join(import.meta.dirname, "guest", "prelude"), "utf8")

/** Emulation is slow, and everything runs at once. */
const rowTimeoutMs = 40_000

suite("commands of the shell against channels", { concurrency: 2 }, () => {
  for (const kernel of ["6.1", "6.12"] as const) {
    suite(`Linux ${kernel}`, { skip: whyNoVm(kernel) ?? false, concurrency: 4 }, () => {
      let server: ChannelServer
      let vm: Vm
      before(async () => {
        server = await startChannelServer()
        vm = await Vm.boot({ kernel, processors: 1 })
        for (const version of dialects) await vm.mount({ port: server.port, version, at: `/n/${version}` })
      })
      after(async () => {
        await vm?.[Symbol.asyncDispose]()
        await server?.[Symbol.asyncDispose]()
        assert.deepEqual(server.warnings, [])
      })

      for (const [index, row] of rows.entries()) {
        if (row.kernels?.includes(kernel) === false) continue
        test(row.name, { timeout: 60_000 }, async () => {
          const spoken = dialects.filter((dialect) => row.dialects?.includes(dialect) !== false)
          const outcomes = await Promise.allSettled(spoken.map((dialect) => check(row, index, dialect)))
          const failures = outcomes.flatMap((outcome, at) =>
            outcome.status === "rejected" ? [`${spoken[at]}: ${(outcome.reason as Error).message}`] : [],
          )
          assert.equal(failures.length, 0, failures.join("\n"))
        })
      }

      test("a lost connection: who waits gets an error, messages stay, and a new mount goes on", async () => {
        await using other = await startChannelServer()
        const channel = other.space.create("/c")
        const quiet = other.space.create("/quiet")
        const lost = { port: other.port, version: "9p2000.L", at: "/n/lost" } as const
        await vm.mount(lost)
        const reader = vm.start("exec cat /n/lost/c.d/next")
        const writer = vm.start("echo unheard > /n/lost/quiet.d/send")
        await until(() => channel.stats().waitingReceivers + quiet.stats().waitingSenders === 2, "both wait")
        other.cut()
        const [read, written] = await Promise.all([reader.within(rowTimeoutMs), writer.within(rowTimeoutMs)])
        assert.equal(read.code, 1)
        assert.match(read.stderr, /cat: .*: (?:Input\/output error|Bad address)/)
        assert.equal(written.code, 1)
        await until(() => quiet.stats().waitingSenders === 0, "the sender has left")
        assert.equal((await vm.run("umount /n/lost")).code, 0)
        await vm.mount(lost)
        const again = await vm.run(
          "cat /n/lost/c.d/next & echo again > /n/lost/c.d/send; wait; cat /n/lost/quiet.d/peek",
        )
        assert.equal(again.stdout, "again\n")
        assert.equal((await vm.run("umount /n/lost")).code, 0)
      })

      async function check(row: Row, index: number, dialect: Dialect): Promise<void> {
        const folder = `/${index}-${dialect}`
        server.space.makeFolder(folder)
        server.space.create(`${folder}/c`, {}, row.settings)
        const place = `ROOT=/n/${dialect} ROW=${folder} PORT=${server.port} VERSION=${dialect}`
        const ended = await vm.run(`${place}\n${prelude}${row.script}`, { timeoutMs: rowTimeoutMs })
        const { code = 0, out, err = /^$/ } = row
        const heard = err instanceof RegExp ? err : err[kernel]
        const told = `${row.script}\nstatus ${ended.code}\n${ended.stdout}\n${ended.stderr}`
        if (typeof out === "string") assert.equal(ended.stdout, out, told)
        else assert.match(ended.stdout, out, told)
        assert.match(ended.stderr, heard, told)
        assert.equal(ended.code, code, told)
        await until(() => isQuiet(server, folder), `nobody waits in ${folder} any more`)
      }
    })
  }
})

/** Nobody waits or holds a message in the channels of that folder. */
function isQuiet({ space }: ChannelServer, folder: string): boolean {
  for (const channel of space.channels()) {
    if (!(channel instanceof Channel) || !channel.path.startsWith(`${folder}/`)) continue
    const { waitingSenders, waitingReceivers, underWay } = channel.stats()
    if (waitingSenders + waitingReceivers + underWay > 0) return false
  }
  return true
}
