import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import { test } from "node:test"
import * as zlib from "node:zlib"
import fc from "fast-check"
import { FakeClock, settle } from "../../test/kit/fake-clock.ts"
import { checkOf, frame, header, helloOf, readFrames } from "../../test/kit/frames.ts"
import { concat } from "../base/bytes.ts"
import { RdvError } from "../base/error.ts"
import { memoryPair } from "../transport/memory.ts"
import { frameType } from "../wire/frame.ts"
import type { NewHello } from "../wire/hello.ts"
import { acceptHandshake, dialNew, dialResume } from "./handshake.ts"
import type { Acceptor, ReadyLink, Resumed } from "./handshake.ts"
import type { Link } from "./link.ts"

const secret = new Uint8Array(32).fill(7)
const nonce = "AAECAwQFBgcICQoLDA0ODw"
const dialOptions = { agent: "test", windowBytes: 131_072, streams: 10 }
const validNew = {
  kind: "new",
  versions: [1],
  token: "secret",
  agent: "test",
  limits: { window: 131_072, streams: 10 },
  check: false,
}

/** An acceptor that knows one session and notes what it did. */
class Desk implements Acceptor {
  readonly admitted: NewHello[] = []
  readonly started: ReadyLink[] = []
  readonly resumes: Resumed[] = []
  received = 500
  frozen = 0
  known = true
  onFreeze: () => void = () => undefined

  admit(hello: NewHello) {
    if (hello.token !== "secret") throw new RdvError("unauthorized", "no such token")
    this.admitted.push(hello)
    return {
      session: "s1",
      secret,
      graceMs: 60_000,
      windowBytes: 131_072,
      streams: 10,
      start: (ready: ReadyLink) => void this.started.push(ready),
    }
  }

  secretOf(session: string): Uint8Array | undefined {
    return this.known && session === "s1" ? secret : undefined
  }

  freeze(): number {
    this.frozen++
    this.onFreeze()
    return this.received
  }

  resumed(_session: string, ready: Resumed): void {
    this.resumes.push(ready)
  }
}

/** A stranger's end of a link: sends any bytes, reads HELLOs. */
class Stranger {
  readonly link: Link
  got: Uint8Array = new Uint8Array(0)
  closed = false

  constructor(link: Link) {
    this.link = link
    link.attach({
      data: (bytes) => {
        this.got = concat([this.got, bytes])
        return false
      },
      drain() {},
      closed: () => void (this.closed = true),
    })
  }

  say(...bytes: Uint8Array[]): void {
    this.link.send(bytes.map((each) => each.slice()))
  }

  /** The message with this number; proofs are made on other threads and take real time. */
  async hello(index: number): Promise<{ readonly kind: string; readonly [key: string]: unknown }> {
    for (const until = performance.now() + 5000; performance.now() < until; await settle(1)) {
      const message = this.hellos[index]
      if (message !== undefined) return message
    }
    throw new Error(`no message ${index} within 5 s`)
  }

  get hellos(): { readonly kind: string; readonly [key: string]: unknown }[] {
    return readFrames([this.got])
      .filter(({ type }) => type === frameType.hello)
      .map(({ payload }) => JSON.parse(Buffer.from(payload, "hex").toString()) as { kind: string })
  }
}

function stage(memory: { splitBytes?: number; protected?: boolean } = {}) {
  const clock = new FakeClock()
  const runtime = { clock, checksum: (bytes: Uint8Array, seed: number) => zlib.crc32(bytes, seed) }
  const link = () => memoryPair(clock, { poison: true, ...memory })
  const desk = new Desk()
  return { clock, runtime, link, desk }
}

/** A stranger before an acceptor. */
function visit(memory = {}) {
  const { clock, runtime, link, desk } = stage(memory)
  const pair = link()
  const done = acceptHandshake(pair.b, runtime, desk)
  return { clock, desk, done, runtime, pair, stranger: new Stranger(pair.a) }
}

/** A dialer whose acceptor is played by a stranger. */
function serve(dial: (link: Link, runtime: ReturnType<typeof stage>["runtime"]) => Promise<unknown>) {
  const { clock, runtime, link } = stage()
  const pair = link()
  const stranger = new Stranger(pair.b)
  const outcome = dial(pair.a, runtime).then(
    () => "ok" as const,
    (error: RdvError) => error,
  )
  return { clock, stranger, outcome }
}

const proofOf = (who: string, nonces: string, received: number, key: Uint8Array = secret) =>
  createHmac("sha256", key).update(`rdv/1 ${who} ${nonces} ${received}`).digest("base64url")

for (const splitBytes of [Infinity, 1, 7]) {
  test(`a new session is made, with what comes behind welcome, in pieces of ${splitBytes}`, async () => {
    const { clock, runtime, link, desk } = stage({ splitBytes })
    const pair = link()
    const early = frame(frameType.ping, 0, new Uint8Array(8))
    const accepted = acceptHandshake(pair.b, runtime, desk)
    const dialled = dialNew(pair.a, runtime, { ...dialOptions, token: "secret", instance: "laptop" })
    await accepted
    pair.b.send([early])
    const ready = await dialled
    assert.equal(ready.welcome.session, "s1")
    assert.equal(ready.welcome.secret, Buffer.from(secret).toString("base64url"))
    assert.equal(ready.welcome.graceMs, 60_000)
    assert.equal(ready.checked, false)
    assert.deepEqual([desk.admitted[0]?.instance, desk.admitted[0]?.windowBytes], ["laptop", 131_072])
    const after = new Stranger(ready.link)
    ready.link.resume()
    await settle()
    assert.deepEqual(Buffer.concat([ready.early, after.got]), Buffer.from(early))
    assert.equal(clock.pending, 0)
  })
}

test("a session resumes on a new link, with what comes behind resumed", async () => {
  const { clock, runtime, link, desk } = stage({ protected: false })
  const pair = link()
  const early = frame(frameType.ping, 0, new Uint8Array(8))
  const accepted = acceptHandshake(pair.b, runtime, desk)
  const dialled = dialResume(pair.a, runtime, { id: "s1", secret, freeze: () => 1234 })
  await accepted
  pair.b.send([early])
  const ready = await dialled
  assert.equal(ready.peerReceived, 500)
  assert.equal(ready.checked, true)
  assert.equal(desk.resumes[0]?.peerReceived, 1234)
  assert.equal(desk.resumes[0]?.checked, true)
  const after = new Stranger(ready.link)
  ready.link.resume()
  await settle()
  assert.deepEqual(Buffer.concat([ready.early, after.got]), Buffer.from(early))
  assert.equal(clock.pending, 0)
})

test("one side that wants checks is enough for both", async () => {
  const { desk, done, stranger } = visit()
  stranger.say(helloOf({ ...validNew, check: true }))
  await done
  assert.equal(desk.started[0]?.checked, true)
  assert.equal(stranger.hellos[0]?.["check"], false)
})

test("a dialer with the wrong secret is refused, and the session is not touched", async () => {
  const { runtime, link, desk } = stage()
  const pair = link()
  const accepted = acceptHandshake(pair.b, runtime, desk)
  const wrong = new Uint8Array(32).fill(8)
  await assert.rejects(dialResume(pair.a, runtime, { id: "s1", secret: wrong, freeze: () => 0 }), {
    code: "unauthorized",
    origin: "remote",
  })
  await accepted
  assert.equal(desk.frozen, 0)
  assert.equal(desk.resumes.length, 0)
})

test("a proof that was overheard is worth nothing on another link", async () => {
  const first = visit()
  first.stranger.say(helloOf({ kind: "resume", versions: [1], session: "s1", nonce, check: false }))
  const challenge = await first.stranger.hello(0)
  const overheard = helloOf({
    kind: "proof",
    proof: proofOf("dial", `${nonce}.${challenge["nonce"] as string}`, 10),
    received: 10,
  })
  first.stranger.say(overheard)
  await first.done
  assert.equal(first.desk.resumes.length, 1)

  const second = visit()
  second.stranger.say(helloOf({ kind: "resume", versions: [1], session: "s1", nonce, check: false }))
  await settle()
  second.stranger.say(overheard)
  await second.done
  assert.deepEqual(
    second.stranger.hellos.map(({ kind }) => kind),
    ["challenge", "refuse"],
  )
  assert.equal(second.stranger.hellos[1]?.["code"], 7)
  assert.equal(second.desk.frozen, 0)
})

test("a proof does not stand for another count", async () => {
  const { desk, done, stranger } = visit()
  stranger.say(helloOf({ kind: "resume", versions: [1], session: "s1", nonce, check: false }))
  const { nonce: theirs } = await stranger.hello(0)
  stranger.say(helloOf({ kind: "proof", proof: proofOf("dial", `${nonce}.${theirs as string}`, 10), received: 11 }))
  await done
  assert.equal(desk.frozen, 0)
  assert.equal(stranger.hellos[1]?.["code"], 7)
})

test("an acceptor cannot answer with the dialer's own proof", async () => {
  const { stranger, outcome } = serve((link, runtime) =>
    dialResume(link, runtime, { id: "s1", secret, freeze: () => 3 }),
  )
  stranger.say(helloOf({ kind: "challenge", nonce, check: false }))
  const proof = await stranger.hello(1)
  assert.equal(proof.kind, "proof")
  stranger.say(helloOf({ ...proof, kind: "resumed" }))
  const error = await outcome
  assert.ok(error instanceof RdvError && error.code === "unauthorized")
})

test("an acceptor without the secret cannot take a session over", async () => {
  const { stranger, outcome } = serve((link, runtime) =>
    dialResume(link, runtime, { id: "s1", secret, freeze: () => 3 }),
  )
  stranger.say(helloOf({ kind: "challenge", nonce, check: false }))
  await stranger.hello(1)
  stranger.say(helloOf({ kind: "resumed", proof: proofOf("accept", "a.b", 0, new Uint8Array(32)), received: 0 }))
  const error = await outcome
  assert.ok(error instanceof RdvError && error.code === "unauthorized")
})

test("a session that is unknown, or that ends during the handshake, is refused as unknown", async () => {
  const { runtime, link, desk } = stage()
  for (const [id, ends] of [
    ["s2", false],
    ["s1", true],
  ] as const) {
    const pair = link()
    const accepted = acceptHandshake(pair.b, runtime, desk)
    const freeze = () => {
      if (ends) desk.known = false
      return 0
    }
    await assert.rejects(dialResume(pair.a, runtime, { id, secret, freeze }), { code: "unknown_session" })
    await accepted
  }
  assert.equal(desk.frozen, 0)
})

test("a token that is not known is refused in words", async () => {
  const { runtime, link, desk } = stage()
  const pair = link()
  const accepted = acceptHandshake(pair.b, runtime, desk)
  await assert.rejects(dialNew(pair.a, runtime, { ...dialOptions, token: "guess" }), {
    code: "unauthorized",
    message: "no such token",
    origin: "remote",
  })
  await accepted
})

test("sides that share no version say so", async () => {
  const { done, desk, stranger } = visit()
  stranger.say(helloOf({ ...validNew, versions: [2, 3] }))
  await done
  assert.equal(stranger.hellos[0]?.["code"], 15)
  assert.equal(desk.admitted.length, 0)

  const other = serve((link, runtime) => dialNew(link, runtime, dialOptions))
  const welcome = { kind: "welcome", version: 2, session: "s", secret: "c2VjcmV0", graceMs: 1, check: false }
  other.stranger.say(helloOf({ ...welcome, limits: { window: 131_072, streams: 1 } }))
  const error = await other.outcome
  assert.ok(error instanceof RdvError && error.code === "version")
})

const wrongStarts: [string, Uint8Array][] = [
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
  ["another frame", frame(frameType.ping, 0, new Uint8Array(8))],
  ["a HELLO over the limit", header(frameType.hello, 8193, 0)],
  ["a HELLO on a stream", Buffer.concat([frame(frameType.hello, 1, JSON.stringify(validNew)), new Uint8Array(12)])],
  ["a HELLO without a CHECK", Buffer.concat([frame(frameType.hello, 0, JSON.stringify(validNew)), new Uint8Array(12)])],
  ["a HELLO with a wrong CHECK", Buffer.concat([frame(frameType.hello, 0, JSON.stringify(validNew)), checkOf()])],
  ["a HELLO that is no JSON", helloOf("{kind:new}")],
  ["a HELLO that is a list", helloOf([1])],
  ["a welcome", helloOf({ ...validNew, kind: "welcome", version: 1, session: "s", secret: "x", graceMs: 0 })],
  ["a proof", helloOf({ kind: "proof", proof: "x", received: 0 })],
  ["a refusal", helloOf({ kind: "refuse", code: 1 })],
]

for (const [what, bytes] of wrongStarts) {
  test(`a link that begins with ${what} is ended at once`, async () => {
    const { clock, desk, done, stranger } = visit()
    stranger.say(bytes)
    await done
    await settle()
    assert.equal(stranger.closed, true)
    assert.equal(desk.admitted.length, 0)
    assert.equal(clock.pending, 0)
  })
}

test("a stranger who says nothing, or a byte a second, is gone after ten seconds", async () => {
  for (const perSecond of [0, 1]) {
    const { clock, desk, done, stranger } = visit()
    const hello = helloOf(validNew)
    for (let second = 0; second < 10; second++) {
      assert.equal(stranger.closed, false)
      if (perSecond > 0) stranger.say(hello.subarray(second, second + 1))
      await clock.pass(1000)
    }
    await done
    await settle()
    assert.equal(stranger.closed, true)
    assert.equal(desk.admitted.length, 0)
    assert.equal(clock.pending, 0)
  }
})

test("a stranger who stops after the challenge is gone after ten seconds, and the session is not touched", async () => {
  const { clock, desk, done, stranger } = visit()
  stranger.say(helloOf({ kind: "resume", versions: [1], session: "s1", nonce, check: false }))
  await clock.pass(9999)
  assert.equal(stranger.closed, false)
  await clock.pass(1)
  await done
  assert.equal(stranger.closed, true)
  assert.equal(desk.frozen, 0)
})

test("a dialer whose acceptor is silent gives up after ten seconds", async () => {
  const { clock, outcome } = serve((link, runtime) => dialNew(link, runtime, dialOptions))
  await clock.pass(10_000)
  const error = await outcome
  assert.ok(error instanceof RdvError && error.code === "timeout")
  assert.equal(clock.pending, 0)
})

test("what a stranger sends while it is looked up stays on its side", async () => {
  const { clock, runtime, link, desk } = stage()
  const pair = link()
  const admit = Promise.withResolvers<void>()
  const slow: Acceptor = {
    admit: async (hello: NewHello) => {
      await admit.promise
      return desk.admit(hello)
    },
    secretOf: (id) => desk.secretOf(id),
    freeze: () => desk.freeze(),
    resumed: (id, ready) => desk.resumed(id, ready),
  }
  const done = acceptHandshake(pair.b, runtime, slow)
  const stranger = new Stranger(pair.a)
  stranger.say(helloOf(validNew))
  for (let sent = 0; sent < 5000; sent++) {
    stranger.say(Uint8Array.of(0))
    if (sent % 500 === 0) await settle(1)
  }
  await settle()
  assert.equal(stranger.closed, false)
  admit.resolve()
  await done
  assert.equal(desk.started[0]?.early.length, 0, "nothing was taken that nobody waited for")
  assert.equal(clock.pending, 0)
})

test("two links that resume one session at the same time: each states the count that holds when it takes over", async () => {
  const { runtime, link, desk } = stage()
  const pairs = [link(), link()]
  // Whoever is on a link moves the count at once.
  desk.resumed = (_session, ready) => {
    desk.resumes.push(ready)
    desk.received += 1000
  }
  const accepted = pairs.map((pair) => acceptHandshake(pair.b, runtime, desk))
  const dialled = await Promise.all(
    pairs.map((pair) => dialResume(pair.a, runtime, { id: "s1", secret, freeze: () => 0 })),
  )
  await Promise.all(accepted)
  // Which of the two proves itself first is up to the threads that compute proofs.
  assert.deepEqual(
    dialled.map(({ peerReceived }) => peerReceived).toSorted((one, other) => one - other),
    [500, 1500],
  )
})

test("changed bytes never get anybody in, and always end within the time", async () => {
  const hello = helloOf(validNew)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(hello.length - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 3 }),
      fc.nat(hello.length),
      async (changes, cut) => {
        const bytes = Buffer.from(hello)
        for (const [at, mask] of changes) bytes[at] = (bytes[at] as number) ^ mask
        if (bytes.equals(hello)) return
        const { clock, desk, done, stranger } = visit()
        stranger.say(bytes.subarray(0, cut), bytes.subarray(cut))
        await clock.pass(10_000)
        await done
        assert.equal(desk.admitted.length, 0)
        assert.equal(clock.pending, 0)
        assert.equal(stranger.closed, true)
      },
    ),
    { numRuns: 300 },
  )
})

test("messages of any content never resume a session without its secret", async () => {
  const value = fc.oneof(
    fc.constantFrom("s1", nonce, proofOf("dial", "a.b", 0), proofOf("accept", "a.b", 0)),
    fc.jsonValue(),
  )
  const message = fc
    .tuple(
      fc.constantFrom("new", "resume", "proof", "resumed", "challenge", "welcome", "refuse"),
      fc.dictionary(fc.constantFrom("session", "nonce", "proof", "received", "versions", "check", "token"), value),
    )
    .map(([kind, fields]) => ({
      versions: [1],
      session: "s1",
      nonce,
      check: false,
      received: 0,
      proof: "x",
      ...fields,
      kind,
    }))
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 3 }), async (messages) => {
      const { clock, desk, done, stranger } = visit()
      for (const each of messages) {
        stranger.say(helloOf(each))
        await settle(2)
      }
      await clock.pass(10_000)
      await done
      assert.equal(desk.frozen + desk.resumes.length + desk.admitted.length, 0)
      assert.equal(clock.pending, 0)
    }),
    { numRuns: 200 },
  )
})
