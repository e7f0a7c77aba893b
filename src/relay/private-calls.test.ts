/** Sessions of one owner reach each other's private services, and nobody else does. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { localAgent, localRelay } from "../../test/kit/local-sessions.ts"
import { eventually } from "../../test/kit/raw-http.ts"
import { RdvError } from "../base/error.ts"
import { dialPrivate, readPrivateCaller } from "../host/private-call.ts"
import type { Exposed } from "../host/host.ts"
import type { RunningAgent, RunningRelay } from "../node.ts"
import type { TokenScopes } from "../store/token-scopes.ts"

/** Offers a service that answers with its own words and the question, and ends. */
function offer({ agent }: RunningAgent, name: string, words = "here"): Promise<Exposed> {
  return new Promise((resolve, reject) =>
    agent.accept(
      name,
      ({ stream, header }) => {
        const { from, header: given } = readPrivateCaller(header)
        assert.match(from, /^127\.0\.0\.1:\d+$/)
        stream.attach({
          data(chunk) {
            stream.write(Buffer.from(`${words} ${String(given["who"])} ${Buffer.from(chunk).toString()}`))
            stream.consumed(chunk.length)
          },
          meta: () => undefined,
          end: () => stream.end(),
          drain: () => undefined,
          closed: () => undefined,
        })
      },
      { expose: { kind: "private", name }, onExposed: resolve, onRefused: reject, onDelayed: reject },
    ),
  )
}

/** What the service says; rejects with what closed the stream. */
function ask({ agent }: RunningAgent, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = dialPrivate(agent, name, { who: "me" })
    let text = ""
    stream.attach({
      data(chunk) {
        text += Buffer.from(chunk).toString()
        stream.consumed(chunk.length)
      },
      meta: () => undefined,
      end: () => undefined,
      drain: () => undefined,
      closed: (error) => (error === undefined ? resolve(text) : reject(error)),
    })
    stream.write(Buffer.from("asks"))
    stream.end()
  })
}

const token = (relay: RunningRelay, name: string, scopes: TokenScopes = {}) =>
  relay.store.createToken({ name, scopes }).token

const noService = (error: unknown) => error instanceof RdvError && error.code === "no_service"

test("a session calls what another session of its token offers, and a stranger does not", async (t) => {
  const relay = await localRelay(t)
  const [mine, other] = [token(relay, "mine"), token(relay, "other")]
  const server = await localAgent(t, relay, { token: mine })
  const exposed = await offer(server, "box/one")
  assert.deepEqual(exposed, { url: "private:box/one", name: "box/one" })
  const caller = await localAgent(t, relay, { token: mine })
  assert.equal(await ask(caller, "box/one"), "here me asks")
  await assert.rejects(ask(caller, "box/two"), /No session of this owner offers "box\/two"/)
  for (const stranger of [{ token: other }, {}, { instance: "a" }]) {
    await assert.rejects(ask(await localAgent(t, relay, stranger), "box/one"), noService)
  }
  // Nobody holds the name of another owner.
  const namesake = await localAgent(t, relay, { token: other })
  await offer(namesake, "box/one", "elsewhere")
  assert.equal(await ask(namesake, "box/one"), "elsewhere me asks")
  assert.equal(await ask(caller, "box/one"), "here me asks")
  assert.deepEqual(relay.store.listClaims(), [])
})

test("without a token, sessions of one installation belong together", async (t) => {
  const relay = await localRelay(t)
  await offer(await localAgent(t, relay, { instance: "home" }), "box")
  assert.equal(await ask(await localAgent(t, relay, { instance: "home" }), "box"), "here me asks")
  await assert.rejects(ask(await localAgent(t, relay, { instance: "away" }), "box"), noService)
})

test("the newer session of an owner takes a private name over, and it ends with its session", async (t) => {
  const relay = await localRelay(t)
  const mine = token(relay, "mine")
  const older = await localAgent(t, relay, { token: mine })
  const lost = Promise.withResolvers<Error>()
  older.agent.accept("box", ({ stream }) => stream.reset("internal"), {
    expose: { kind: "private", name: "box" },
    onRefused: lost.resolve,
  })
  const newer = await localAgent(t, relay, { token: mine })
  await offer(newer, "box", "newer")
  assert.match((await lost.promise).message, /newer session of the same owner serves "box"/)
  const caller = await localAgent(t, relay, { token: mine })
  assert.equal(await ask(caller, "box"), "newer me asks")
  await newer.stop()
  await assert.rejects(ask(caller, "box"), noService)
})

test("a token may be kept from private services, and its limits hold for them", async (t) => {
  const relay = await localRelay(t)
  const kept = await localAgent(t, relay, { token: token(relay, "kept", { services: ["http"] }) })
  await assert.rejects(offer(kept, "box"), /does not allow private services/)
  const slow = token(relay, "slow", { limits: { requestsPerSecond: 1 } })
  await offer(await localAgent(t, relay, { token: slow }), "box")
  const caller = await localAgent(t, relay, { token: slow })
  assert.equal(await ask(caller, "box"), "here me asks")
  await assert.rejects(ask(caller, "box"), /takes 1 requests a second/)
})

test("a call or a name that is none costs its stream and not the session", async (t) => {
  const relay = await localRelay(t)
  const mine = token(relay, "mine")
  const agent = await localAgent(t, relay, { token: mine })
  for (const header of [{}, { name: 1 }, { name: "" }, { name: "x".repeat(101) }, { name: "box", header: [] }]) {
    const closed = Promise.withResolvers<RdvError | undefined>()
    const none = () => undefined
    const stream = agent.agent.dial("call", { header })
    stream.attach({ data: none, meta: none, end: none, drain: none, closed: closed.resolve })
    assert.equal((await closed.promise)?.code, "protocol")
  }
  await assert.rejects(
    offer(agent, "box", "x").then(() => refusal(agent)),
    /"Not One" is no private name/,
  )
  assert.equal(await ask(agent, "box"), "x me asks")
  await eventually("nothing is left", () =>
    (relay.relay.status()["sessions"] as unknown as { streams: number }[]).every(({ streams }) => streams === 1),
  )
})

function refusal({ agent }: RunningAgent): Promise<never> {
  return new Promise((_resolve, reject) =>
    agent.accept("other", () => undefined, { expose: { kind: "private", name: "Not One" }, onRefused: reject }),
  )
}
