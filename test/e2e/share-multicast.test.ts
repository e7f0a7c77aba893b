/**
 * One sender and seven receivers, each a process on a machine of its own (network namespaces on a bridge): what goes over
 * the sender's wire is counted there.
 */

import assert from "node:assert/strict"
import { resolve } from "node:path"
import { test } from "node:test"
import { LineProcess } from "../kit/line-process.ts"
import { NetworkLab } from "../kit/network-lab.ts"

const receivers = 7
const bytes = 20_000_000
const chunkBytes = 262_160
const script = resolve(import.meta.dirname, "../kit/run-cast.ts")
/** Eight processes share this machine with whatever else it does. */
const patiently = (process: LineProcess, event: string) => process.event(event).catch(() => process.event(event))
const refusal = await NetworkLab.refusal()

test(
  "seven receivers on a network cost one copy of the content, and little more where datagrams are lost",
  { skip: refusal, timeout: 60_000 },
  async (t) => {
    await using lab = await NetworkLab.create(receivers + 1, "cast")
    const machine = (at: number, role: "sender" | "receiver") =>
      new LineProcess("ip", [...lab.on(at), process.execPath, script, JSON.stringify({ role, bytes, chunkBytes })])
    const sender = machine(0, "sender")
    const others = Array.from({ length: receivers }, (_, at) => machine(at + 1, "receiver"))
    try {
      await patiently(sender, `heard ${receivers}`)

      const pass = async (version: number) => {
        const before = await lab.sentBytes(0)
        sender.say(`pass ${version}`)
        const report = await patiently(sender, `passed ${version}`)
        const ends = await Promise.all(others.map((other) => patiently(other, `over ${version}`)))
        const copies = ((await lab.sentBytes(0)) - before) / bytes
        t.diagnostic(`${copies.toFixed(3)} copies in ${Math.round(Number(report["ms"]))} ms`)
        return { copies, ends }
      }

      const clean = await pass(1)
      for (const { got, bad } of clean.ends)
        assert.deepEqual({ got, bad }, { got: Math.ceil(bytes / chunkBytes), bad: 0 })
      assert.ok(clean.copies <= 1.1, `${clean.copies} copies`)

      for (let at = 0; at <= receivers; at++) await lab.lose(at, 0.02)
      const lossy = await pass(2)
      for (const { got, bad } of lossy.ends)
        assert.deepEqual({ got, bad }, { got: Math.ceil(bytes / chunkBytes), bad: 0 })
      assert.ok(lossy.copies > 1.05 && lossy.copies < 1.5, `${lossy.copies} copies`)
    } finally {
      await Promise.all([sender, ...others].map((each) => each[Symbol.asyncDispose]()))
    }
  },
)
