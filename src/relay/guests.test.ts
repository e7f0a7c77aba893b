import assert from "node:assert/strict"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { eventually } from "../../test/kit/raw-http.ts"
import type { UplinkEvent } from "../agent/uplink.ts"
import { RdvError } from "../base/error.ts"
import { silentLog } from "../base/log.ts"
import { startAgent, startRelay } from "../node.ts"
import type { RelayLimits } from "./limits.ts"

async function relayWithGuests(t: TestContext, limits: Partial<RelayLimits> = {}) {
  const running = await startRelay({ listen: ["127.0.0.1:0"], store: ":memory:", log: silentLog, limits })
  t.after(() => running.stop())
  const { relay } = running
  relay.letGuestsIn("share", (what, proof) => {
    if (what !== "share/482713") throw new RdvError("not_found", `There is no ${what}`)
    if (proof !== "right") throw new RdvError("unauthorized", "The code is wrong")
  })
  const guests: (string | undefined)[] = []
  relay.accept("share", ({ stream, caller }) => {
    guests.push(caller.guest)
    stream.end()
  })
  relay.accept("channel", ({ stream }) => stream.end())
  const [address] = running.addresses
  assert.ok(address !== undefined && "port" in address)
  return { at: `127.0.0.1:${address.port}`, guests, store: running.store }
}

function guest(t: TestContext, relay: string, token: string) {
  const events: UplinkEvent[] = []
  const running = startAgent({ relay, token, log: silentLog, onEvent: (event) => events.push(event) })
  t.after(() => running.stop())
  return { agent: running.agent, events }
}

test("a guest with the proof reaches its capability and nothing else, and offers nothing", async (t) => {
  const { at, guests } = await relayWithGuests(t)
  const { agent, events } = guest(t, at, "guest:share/482713:right")
  await eventually("the guest is in", () => events.some(({ kind }) => kind === "up"))
  const closed = (service: string) =>
    new Promise<RdvError | undefined>((resolve) => {
      const stream = agent.dial(service)
      const sink = { data() {}, meta() {}, drain() {}, end: () => stream.end(), closed: resolve }
      stream.attach(sink)
    })
  assert.equal(await closed("share"), undefined)
  assert.deepEqual(guests, ["share/482713"])
  assert.equal((await closed("channel"))?.code, "forbidden")
  const refusal = await new Promise<Error>((resolve) => {
    agent.accept("http/x", ({ stream }) => stream.end(), { expose: { kind: "http", name: "x" }, onRefused: resolve })
  })
  assert.equal((refusal as RdvError).code, "forbidden")
})

test("who guesses is refused, and soon has to wait", async (t) => {
  const { at } = await relayWithGuests(t)
  const codes = new Set<string>()
  for (let count = 0; count < 12; count++) {
    const { events } = guest(t, at, `guest:share/482713:wrong-${count}`)
    const failure = () => events.find((event) => event.kind === "failed" || event.kind === "retry")
    await eventually("an answer", () => failure() !== undefined)
    codes.add((failure() as { error: RdvError }).error.code)
  }
  assert.deepEqual([...codes], ["unauthorized", "rate_limited"])
})

test("guests leave room for those who have a token", async (t) => {
  const { at, store } = await relayWithGuests(t, { sessions: 4 })
  const { token } = store.createToken({ name: "a" })
  const isUp = ({ kind }: UplinkEvent) => kind === "up"
  for (let count = 0; count < 3; count++) {
    const { events } = guest(t, at, "guest:share/482713:right")
    await eventually("a guest is in", () => events.some(isUp))
  }
  const { events } = guest(t, at, "guest:share/482713:right")
  await eventually("one too many", () => events.some((event) => "error" in event && event.error.code === "limit"))
  const owner = guest(t, at, token)
  await eventually("the owner is in", () => owner.events.some(isUp))
})
