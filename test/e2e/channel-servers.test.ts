/** Channel servers that are killed and started again, and those that are a relay as well: what each kind of client is told. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { channels } from "../../src/channels.ts"
import type { Channels } from "../../src/channels.ts"
import type { NinepClient } from "../../src/ninep/client.ts"
import { LinkLostError } from "../../src/ninep/remote-error.ts"
import { startRelayCommand, temporaryFolder } from "../kit/command.ts"
import { until } from "../kit/processes.ts"
import { ninepTo, readText, RunningChannels, writeText } from "../kit/running-channels.ts"

const flags = [
  "--grace",
  "700ms",
  "--dead-after",
  "1s",
  "--channel",
  "/jobs",
  "--channel",
  "/other",
  "--channel",
  "/quiet",
]

async function waiting(client: Channels, path: string): Promise<number> {
  const entry = await client.stat(path)
  return entry.kind === "channel" ? entry.counts.waitingSenders + entry.counts.waitingReceivers : 0
}

/** One of each kind waits at `/jobs` (to send) and at `/other` (to receive). */
async function waitEverywhere(native: Channels, ninep: NinepClient) {
  const watch = native
  const waits = {
    nativeSend: settled(native.channel("/jobs").send("native")),
    ninepSend: settled(writeText(ninep, "/jobs", "9p")),
    nativeReceive: settled(native.channel("/other").receive()),
    ninepReceive: settled(readText(ninep, "/other")),
  }
  await until(async () => (await waiting(watch, "/jobs")) === 2 && (await waiting(watch, "/other")) === 2, "all wait")
  return waits
}

interface Outcome {
  readonly value?: unknown
  readonly error?: Error & { readonly code?: string }
  readonly ms: number
}

function settled(promise: Promise<unknown>): Promise<Outcome> {
  const from = performance.now()
  return promise.then(
    (value) => ({ value, ms: performance.now() - from }),
    (error: Error) => ({ error, ms: performance.now() - from }),
  )
}

test("a server that is killed: 9P clients hear it at once, native ones when the session cannot be had again", async () => {
  await using server = await RunningChannels.start({ flags })
  await using native = await channels({ relay: `127.0.0.1:${server.port}` })
  const ninep = await server.client()
  const waits = await waitEverywhere(native, ninep)
  const timed = settled(native.channel("/quiet").send("x", { timeoutMs: 300 }))
  const killedAt = performance.now()
  server.command.kill("SIGKILL")
  await server.command.ended
  for (const wait of [waits.ninepSend, waits.ninepReceive]) {
    const { error } = await wait
    assert.ok(error instanceof LinkLostError, String(error))
    assert.match(error.message, /closed|reset/i)
  }
  assert.ok(performance.now() - killedAt < 2_000)
  // Nothing of this can be known to a client that may reach the server again.
  const lost = await waits.nativeSend
  assert.equal(lost.error?.code, "link_lost")
  assert.match(lost.error?.message ?? "", /^The session was lost before \/jobs confirmed the message/)
  assert.ok(["timeout", "link_lost"].includes((await timed).error?.code ?? ""))
  assert.ok(performance.now() - killedAt < 5_000, "within the grace time")
  // Deadlines hold without a server.
  const [send, receive] = await Promise.all([
    settled(native.channel("/jobs").send("x", { timeoutMs: 200 })),
    settled(native.channel("/jobs").receive({ timeoutMs: 200 })),
  ])
  assert.deepEqual([send.error?.code, receive.error?.code], ["timeout", "timeout"])
  assert.ok(Math.max(send.ms, receive.ms) < 1_500)
  const listed = settled(native.list())
  await native.close({ graceMs: 100 })
  assert.ok((await listed).error !== undefined, "what waits for a server ends when its client is closed")
  assert.ok((await waits.nativeReceive).value === undefined)
})

test("a server that is started again: native receivers go on, 9P connections are new, and buffers are empty", async () => {
  const first = await RunningChannels.start({ flags: [...flags, "--channel", "/kept=4"] })
  const { port } = first
  await using native = await channels({ relay: `127.0.0.1:${port}` })
  const ninep = await first.client()
  await native.channel("/kept").send("in the buffer")
  const waits = await waitEverywhere(native, ninep)
  first.command.kill("SIGKILL")
  await first.command.ended
  await using second = await RunningChannels.start({
    listen: [`127.0.0.1:${port}`],
    flags: [...flags, "--channel", "/kept=4"],
  })
  assert.equal((await waits.nativeSend).error?.code, "link_lost")
  for (const wait of [waits.ninepSend, waits.ninepReceive]) assert.ok((await wait).error instanceof LinkLostError)
  // Its stream is opened again by itself.
  await until(async () => (await waiting(native, "/other")) === 1, "the receiver waits again")
  await assert.rejects(readText(ninep, "/other"), LinkLostError)
  const again = await second.client()
  await writeText(again, "/other", "after")
  const { value } = await waits.nativeReceive
  assert.equal((value as { text(): string }).text(), "after")
  assert.equal(await native.channel("/kept").peek(), undefined, "memory was all there was")
  again.close()
  await first[Symbol.asyncDispose]()
})

test("a server that is stopped in good order tells everybody that it ends", async () => {
  await using server = await RunningChannels.start({ flags })
  await using native = await channels({ relay: `127.0.0.1:${server.port}` })
  const waits = await waitEverywhere(native, await server.client())
  const stoppedAt = performance.now()
  server.command.kill("SIGTERM")
  assert.equal((await server.command.ended).code, 0)
  assert.ok(performance.now() - stoppedAt < 4_000)
  for (const wait of [waits.ninepSend, waits.ninepReceive]) assert.ok((await wait).error instanceof LinkLostError)
  assert.equal((await waits.nativeSend).error?.code, "link_lost")
  await native.close({ graceMs: 100 })
})

test("rdv relay --channels serves native and 9P clients at its own port and at that of the channels", async () => {
  using folder = temporaryFolder()
  const { relay, port } = await startRelayCommand(["--open", "--channels", "tcp://127.0.0.1:0"], { data: folder.path })
  await using _relay = relay
  const listening = JSON.parse(relay.stdout.split("\n")[0] as string) as { channels: string[] }
  const channelPort = Number(/:(\d+)$/.exec(listening.channels[0] as string)?.[1])
  await using atRelay = await channels({ relay: `127.0.0.1:${port}` })
  await using atChannels = await channels({ relay: `127.0.0.1:${channelPort}` })
  const ninep = await ninepTo({ port: channelPort })
  await atRelay.create("/jobs")
  const received: string[] = []
  const next = async (from: "9p" | "native") => {
    const text =
      from === "9p" ? await readText(ninep, "/jobs.d/next") : (await atChannels.channel("/jobs").receive())?.text()
    received.push(`${from} ${text}`)
  }
  await Promise.all([next("9p"), atRelay.channel("/jobs").send("one")])
  await Promise.all([next("native"), writeText(ninep, "/jobs.d/send", "two")])
  await Promise.all([next("native"), atRelay.channel("/jobs").send("three")])
  assert.deepEqual(received, ["9p one", "native two", "native three"])
  // Both kinds wait together, and a removal tells both.
  const waits = [settled(atRelay.channel("/jobs").receive()), settled(readText(ninep, "/jobs"))]
  await until(async () => (await waiting(atRelay, "/jobs")) === 2, "both wait")
  await ninep.remove("/jobs")
  const told = (await Promise.all(waits)).map(({ error }) => error as { code?: string; errno?: string } | undefined)
  assert.deepEqual([told[0]?.code, told[1]?.errno], ["removed", "EIDRM"])
  ninep.close()
})
