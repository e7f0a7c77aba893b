/** Sessions of one owner reach each other's private services, and nobody else does. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { localAgent, localRelay } from "../../test/kit/local-sessions.ts"
import { eventually } from "../../test/kit/raw-http.ts"
import { RdvError } from "../base/error.ts"
import type { Stream } from "../base/stream.ts"
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

/** Offers a service beside others; `take` gets each call. */
function share({ agent }: RunningAgent, name: string, take: (stream: Stream) => void): Promise<Exposed> {
  return new Promise((resolve, reject) =>
    agent.accept(name, ({ stream }) => take(stream), {
      expose: { kind: "private", name, shared: true },
      onExposed: resolve,
      onRefused: reject,
    }),
  )
}

/** Reads nothing, says its word and ends. */
function saying(word: string): (stream: Stream) => void {
  return (stream) => {
    const none = () => undefined
    stream.attach({ data: none, meta: none, end: none, drain: none, closed: none })
    stream.write(Buffer.from(word))
    stream.end()
  }
}

/** What calls hear that say nothing themselves. */
async function heard({ agent }: RunningAgent, times: number): Promise<string> {
  let text = ""
  for (let time = 0; time < times; time++) {
    await new Promise<void>((resolve, reject) => {
      const none = () => undefined
      const stream = dialPrivate(agent, "box")
      stream.attach({
        data(chunk) {
          text += Buffer.from(chunk).toString()
          stream.consumed(chunk.length)
        },
        meta: none,
        end: () => stream.end(),
        drain: none,
        closed: (error) => (error === undefined ? resolve() : reject(error)),
      })
    })
  }
  return text
}

test("calls are spread over the sessions that share a name, and who leaves takes it from nobody", async (t) => {
  const relay = await localRelay(t)
  const mine = token(relay, "mine")
  const [one, two, caller] = [
    await localAgent(t, relay, { token: mine, instance: "same" }),
    await localAgent(t, relay, { token: mine, instance: "same" }),
    await localAgent(t, relay, { token: mine }),
  ]
  await share(one, "box", saying("1"))
  await share(two, "box", saying("2"))
  assert.equal(await heard(caller, 6), "121212")
  await one.stop()
  assert.equal(await heard(caller, 3), "222")
  await two.stop()
  await assert.rejects(ask(caller, "box"), noService)
})

test("what one cannot take another one does, and is asked first for a while", async (t) => {
  const relay = await localRelay(t)
  const identity = { instance: "home" }
  let refused = 0
  const dead = await localAgent(t, relay, identity)
  await share(dead, "box", (stream) => {
    refused++
    stream.reset("unreachable", "nothing listens")
  })
  const caller = await localAgent(t, relay, identity)
  await assert.rejects(heard(caller, 1), /nothing listens/)
  await share(await localAgent(t, relay, identity), "box", saying("2"))
  assert.equal(await heard(caller, 4), "2222")
  assert.equal(refused, 1)
})

test("a call is passed on once, when the first one did not take it, and never when it spoke", async (t) => {
  const relay = await localRelay(t)
  const identity = { instance: "home" }
  const takes: string[] = []
  const refusing = (name: string, spoken: boolean) => (stream: Stream) => {
    takes.push(name)
    if (spoken) stream.meta({ connected: true })
    // Behind the metadata.
    setImmediate(() => stream.reset("unreachable", `refused by ${name}`))
  }
  await share(await localAgent(t, relay, identity), "box", refusing("a", false))
  await share(await localAgent(t, relay, identity), "box", refusing("b", true))
  await share(await localAgent(t, relay, identity), "box", refusing("c", false))
  const caller = await localAgent(t, relay, identity)
  await assert.rejects(heard(caller, 1), /refused by b/)
  assert.deepEqual(takes, ["a", "b"])
  await assert.rejects(heard(caller, 1), /refused by b/)
  assert.deepEqual(takes, ["a", "b", "c", "b"])
})

test("who does not share a name takes it from all who do, and the other way round", async (t) => {
  const relay = await localRelay(t)
  const identity = { instance: "home" }
  const lost: string[] = []
  const agents = await Promise.all([1, 2, 3].map(() => localAgent(t, relay, identity)))
  const [one, two, three] = agents as [RunningAgent, RunningAgent, RunningAgent]
  for (const [name, { agent }] of [["one", one] as const, ["two", two] as const]) {
    const bound = Promise.withResolvers<Exposed>()
    agent.accept("box", ({ stream }) => saying("x")(stream), {
      expose: { kind: "private", name: "box", shared: true },
      onExposed: bound.resolve,
      onRefused: () => lost.push(name),
    })
    await bound.promise
  }
  await offer(three, "box", "three")
  await eventually("both have lost it", () => lost.length === 2)
  assert.equal(await ask(two, "box"), "three me asks")
  await share(await localAgent(t, relay, identity), "box", saying("4"))
  assert.equal(await heard(two, 2), "44")
})

test("a limit of the owner holds for all who share a name", async (t) => {
  const relay = await localRelay(t)
  const slow = { token: token(relay, "slow", { limits: { requestsPerSecond: 1 } }) }
  await share(await localAgent(t, relay, slow), "box", saying("1"))
  await share(await localAgent(t, relay, slow), "box", saying("2"))
  const caller = await localAgent(t, relay, slow)
  await heard(caller, 1)
  await assert.rejects(heard(caller, 1), /takes 1 requests a second/)
})

function refusal({ agent }: RunningAgent): Promise<never> {
  return new Promise((_resolve, reject) =>
    agent.accept("other", () => undefined, { expose: { kind: "private", name: "Not One" }, onRefused: reject }),
  )
}
