import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as net from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { RdvError } from "../../../base/error.ts"
import type { DirectNet } from "../paths/direct-net.ts"
import type { Pipe } from "../../../base/pipe.ts"
import { directTarget, ownAddresses } from "./direct-addresses.ts"
import { openSocketNet } from "./socket-net.ts"
import type { SocketNetOptions } from "./socket-net.ts"

const never = new AbortController().signal

async function netOf(t: TestContext, options: SocketNetOptions = {}): Promise<DirectNet> {
  const made = await openSocketNet({ host: "127.0.0.1", loopback: true, ...options })
  t.after(() => made.close())
  return made
}

function endOf(pipe: Pipe): Promise<RdvError | undefined> {
  return new Promise((resolve) =>
    pipe.attach({ data: () => false, drain: () => undefined, closed: (error) => resolve(error) }),
  )
}

/** A port of this machine at which nobody listens. */
async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

test("bytes go both ways between two machines", async (t) => {
  const [a, b] = [await netOf(t), await netOf(t, { listen: false })]
  assert.deepEqual(b.addresses, [])
  const come = Promise.withResolvers<Pipe>()
  a.onPipe = come.resolve
  const near = await b.dial(a.addresses, never)
  assert.equal(near.peer, a.addresses[0])
  const far = await come.promise
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    const bytes = Buffer.alloc(3_000_000, "some bytes and more of them")
    const got: Buffer[] = []
    const all = Promise.withResolvers<void>()
    to.attach({
      data(more) {
        got.push(Buffer.from(more))
        if (got.reduce((sum, { length }) => sum + length, 0) === bytes.length) all.resolve()
        return false
      },
      drain: () => undefined,
      closed: () => undefined,
    })
    from.send([bytes.subarray(0, 5), bytes.subarray(5, 2_000_000), bytes.subarray(2_000_000)])
    await all.promise
    assert.ok(Buffer.concat(got).equals(bytes))
  }
  const ends = Promise.all([endOf(near), endOf(far)])
  near.close()
  far.close()
  assert.deepEqual(await ends, [undefined, undefined])
})

test("the first address that answers is taken, behind some that are refused", async (t) => {
  const a = await netOf(t)
  const come = Promise.withResolvers<Pipe>()
  a.onPipe = come.resolve
  const dead = await freePort()
  const pipe = await a.dial([`127.0.0.1:${dead}`, "nonsense", `127.0.0.1:${dead}`, ...a.addresses], never)
  assert.equal(pipe.peer, a.addresses[0])
  pipe.abort(new RdvError("closed"))
  await endOf(await come.promise)
})

/** An address at which a system listens whose process does nothing, so that further connections get no answer at all. */
async function silentAddress(t: TestContext): Promise<string> {
  const script = `
    const server = require("node:net").createServer()
    server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
      require("node:fs").writeSync(1, server.address().port + "\\n")
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] })
  const fillers: net.Socket[] = []
  t.after(() => {
    for (const each of fillers) each.destroy()
    child.kill("SIGKILL")
  })
  const [text] = (await once(child.stdout, "data")) as [Buffer]
  const port = Number(String(text).trim())
  // Its queue takes two.
  for (let count = 0; count < 4; count++) {
    const filler = net.connect(port, "127.0.0.1").on("error", () => undefined)
    fillers.push(filler)
    await Promise.race([once(filler, "connect"), new Promise((resolve) => setTimeout(resolve, 100).unref())])
  }
  return `127.0.0.1:${port}`
}

test(
  "an address that says nothing does not keep the next one waiting",
  { skip: process.platform !== "linux" },
  async (t) => {
    const a = await netOf(t, { dialMs: 700 })
    const come = Promise.withResolvers<Pipe>()
    a.onPipe = come.resolve
    const silent = await silentAddress(t)
    const pipe = await a.dial([silent, ...a.addresses], never)
    assert.equal(pipe.peer, a.addresses[0])
    pipe.abort(new RdvError("closed"))
    await endOf(await come.promise)
    await assert.rejects(a.dial([silent], never), { code: "timeout" })
  },
)

test("a dial fails in words: nobody there, nothing to dial, nobody waits any more", async (t) => {
  const a = await netOf(t)
  a.onPipe = (pipe) => void endOf(pipe)
  const dead = await freePort()
  await assert.rejects(a.dial([`127.0.0.1:${dead}`], never), { code: "unreachable" })
  await assert.rejects(a.dial([], never), { code: "unreachable" })
  const stop = new AbortController()
  const stopped = a.dial(a.addresses, stop.signal)
  stop.abort(new RdvError("cancelled"))
  await assert.rejects(stopped, { code: "cancelled" })
  await assert.rejects(a.dial(a.addresses, stop.signal), { code: "cancelled" })
  const closed = a.dial(a.addresses, never)
  await a.close()
  await assert.rejects(closed, { code: "closed" })
})

test("connections of others are bounded, and end when nobody takes them", async (t) => {
  const a = await netOf(t, { mostIncoming: 2 })
  // It may be over before the dial hears of it.
  const over = (pipe: Promise<Pipe>) => pipe.then(endOf, (error: unknown) => error as RdvError)
  const lone = await over(a.dial(a.addresses, never))
  assert.ok(lone?.code === "link_lost" || lone?.code === "unreachable")
  const taken: Pipe[] = []
  a.onPipe = (pipe) => taken.push(pipe)
  const pipes = [0, 1, 2].map(() => a.dial(a.addresses, never))
  await Promise.race(pipes.map(over))
  assert.equal(taken.length, 2)
  for (const each of await Promise.allSettled(pipes))
    if (each.status === "fulfilled") each.value.abort(new RdvError("closed"))
  for (const pipe of taken) pipe.abort(new RdvError("closed"))
})

test("a machine does not dial itself", async (t) => {
  const a = await openSocketNet()
  t.after(() => a.close())
  await assert.rejects(a.dial(a.addresses, never), { code: "unreachable" })
})

test("it does not listen at a port that is taken, and not at one of the system's", async (t) => {
  const a = await netOf(t)
  const port = Number(a.addresses[0]?.split(":").at(-1))
  await assert.rejects(openSocketNet({ host: "127.0.0.1", port }), { code: "in_use" })
  await assert.rejects(openSocketNet({ port: 80 }), { code: "usage" })
  await assert.rejects(openSocketNet({ host: "198.51.100.1" }), { code: "usage" })
})

test("what others tell leads to no name, no port of the system and not to this machine", () => {
  const good = [
    "192.168.1.2:5000",
    "10.0.0.1:65535",
    "203.0.113.9:1024",
    "169.254.7.7:2000",
    "[2001:db8::1]:4000",
    "[fd00::2]:4000",
  ]
  for (const text of good) assert.ok(directTarget(text, false) !== undefined, text)
  const bad = [
    "localhost:5000",
    "example.com:5000",
    "192.168.1.2",
    "192.168.1.2:",
    "192.168.1.2:80",
    "192.168.1.2:65536",
    "192.168.1.300:5000",
    "[192.168.1.2]:5000",
    "127.0.0.1:5000",
    "127.9.9.9:5000",
    "0.0.0.0:5000",
    "224.0.0.1:5000",
    "255.255.255.255:5000",
    "[::1]:5000",
    "[::]:5000",
    "[::ffff:127.0.0.1]:5000",
    "[::ffff:7f00:1]:5000",
    "[::ffff:0.0.0.0]:5000",
    "[ff02::1]:5000",
    "[fe80::1]:5000",
    "[fe80::1%eth0]:5000",
    "2001:db8::1:4000",
    " 10.0.0.1:5000",
    "10.0.0.1:5000\n",
  ]
  for (const text of bad) assert.equal(directTarget(text, false), undefined, text)
  assert.deepEqual(directTarget("127.0.0.1:5000", true), { host: "127.0.0.1", port: 5000 })
})

test("this machine tells addresses that others would dial", () => {
  for (const text of ownAddresses(5_000, false)) assert.ok(directTarget(text, false) !== undefined, text)
  assert.ok(ownAddresses(5_000, true).includes("127.0.0.1:5000"))
})

test("what waits at a connection that is not read is not touched by what comes over another one", async (t) => {
  const [a, b] = [await netOf(t), await netOf(t, { listen: false })]
  const come: Pipe[] = []
  const arrivals = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  a.onPipe = (pipe) => arrivals[come.push(pipe) - 1]?.resolve()
  const near: Pipe[] = []
  for (const arrival of arrivals) {
    near.push(await b.dial(a.addresses, never))
    await arrival.promise
  }
  const got = ["", ""]
  const all = arrivals.map(() => Promise.withResolvers<void>())
  for (const [at, pipe] of come.entries()) {
    pipe.attach({
      borrows: true,
      data(bytes) {
        got[at] += Buffer.from(bytes).toString()
        if (got[at]?.endsWith(".") === true) all[at]?.resolve()
        return false
      },
      drain: () => undefined,
      closed: () => undefined,
    })
  }
  const [first, second] = come as [Pipe, Pipe]
  await new Promise((resolve) => setImmediate(resolve))
  // One read is under way, and is held.
  first.pause()
  first.resume()
  first.pause()
  near[0]?.send([Buffer.from("the first.")])
  near[1]?.send([Buffer.from("and something longer, which comes second.")])
  await all[1]?.promise
  first.resume()
  await all[0]?.promise
  assert.deepEqual(got, ["the first.", "and something longer, which comes second."])
  for (const pipe of [first, second, ...near]) pipe.abort(new RdvError("closed"))
})
