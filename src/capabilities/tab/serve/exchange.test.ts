import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { test } from "node:test"
import { servedApp } from "../../../../test/kit/served-app.ts"
import { eventually } from "../../../../test/kit/raw-http.ts"
import { visitorOf } from "../app/visitor.ts"

const mebibyte = 1024 * 1024

test("a request comes as it was sent, and the answer goes back as it was given", async () => {
  using served = servedApp({
    async fetch(request) {
      const seen = [request.method, request.url, request.headers.get("x-one"), await request.text()]
      const headers = new Headers([
        ["x-seen", JSON.stringify(seen)],
        ["set-cookie", "a=1; Path=/"],
        ["set-cookie", "b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT"],
      ])
      return new Response("made", { status: 201, statusText: "Made", headers })
    },
  })
  const answer = await served.fetch("/place?q=1&r=%20", {
    method: "PUT",
    body: "content",
    headers: { "x-one": "1, 2" },
  })
  assert.equal(answer.status, 201)
  assert.equal(answer.statusText, "Made")
  assert.deepEqual(answer.headers.getSetCookie(), ["a=1; Path=/", "b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT"])
  assert.deepEqual(JSON.parse(answer.headers.get("x-seen") ?? ""), [
    "PUT",
    "http://app.test/place?q=1&r=%20",
    "1, 2",
    "content",
  ])
  assert.equal(await answer.text(), "made")
})

test("the application learns who asks, and that several cookies are one field", async () => {
  using served = servedApp(
    { fetch: (request) => Response.json([visitorOf(request), request.headers.get("cookie")]) },
    { visitor: { kind: "peer", peer: { name: "ada", key: "k" } } },
  )
  const stream = served.open({
    method: "GET",
    target: "/",
    headers: ["Host", "app.test", "Cookie", "a=1", "cookie", "b=2"],
    body: "none",
  })
  const parts: Uint8Array[] = []
  await new Promise<void>((resolve) => {
    stream.attach({
      data: (chunk) => {
        parts.push(chunk.slice())
        stream.consumed(chunk.length)
      },
      meta: () => undefined,
      end: () => stream.end(),
      drain: () => undefined,
      closed: () => resolve(),
    })
  })
  assert.deepEqual(JSON.parse(Buffer.concat(parts).toString()), [
    { kind: "peer", peer: { name: "ada", key: "k" } },
    "a=1; b=2",
  ])
})

test("an application that throws is a one-line 500 and a line in the log, and strangers learn no reason", async () => {
  const app = {
    fetch: () => {
      throw new Error("the secret\nreason")
    },
  }
  using stranger = servedApp(app)
  const answer = await stranger.fetch("/x?token=1")
  assert.equal(answer.status, 500)
  assert.equal(await answer.text(), "The application failed\n")
  assert.equal(stranger.lines[0]?.event, "tab.request_failed")
  assert.equal(stranger.lines[0]?.fields["reason"], "the secret reason")
  assert.equal(stranger.lines[0]?.fields["path"], "/x")
  using own = servedApp(app, { visitor: { kind: "own" } })
  assert.equal(await (await own.fetch("/")).text(), "The application failed: the secret reason\n")
  using none = servedApp({ fetch: () => undefined as never })
  assert.equal((await none.fetch("/")).status, 500)
})

test("HEAD, 204 and 304 have no body, whatever the application gives", async () => {
  let cancelled = 0
  const body = () => new ReadableStream({ cancel: () => void cancelled++ })
  using served = servedApp({
    fetch: (request) => {
      const status = Number(new URL(request.url).searchParams.get("status"))
      if (status !== 200) return new Response(null, { status, headers: { etag: '"1"' } })
      return new Response(body(), { headers: { "content-length": "12" } })
    },
  })
  const head = await served.fetch("/?status=200", { method: "HEAD" })
  assert.equal(head.headers.get("content-length"), "12")
  assert.equal(head.body, null)
  for (const status of [204, 304]) {
    const answer = await served.fetch(`/?status=${status}`)
    assert.equal(answer.status, status)
    assert.equal(answer.headers.get("etag"), '"1"')
    assert.equal(answer.body, null)
  }
  await eventually("the body was cancelled", () => cancelled === 1)
})

test("events arrive one by one, while the answer goes on", async () => {
  let send: ((text: string) => void) | undefined
  using served = servedApp({
    fetch: () => {
      const encoder = new TextEncoder()
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => void (send = (text) => controller.enqueue(encoder.encode(text))),
      })
      return new Response(body, { headers: { "content-type": "text/event-stream" } })
    },
  })
  const answer = await served.fetch("/events")
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
  for (const text of ["data: 1\n\n", "data: 2\n\n"]) {
    send?.(text)
    const { value } = await reader.read()
    assert.equal(Buffer.from(value as Uint8Array).toString(), text)
  }
  // In good order at the end of the server: clients of events come again.
  const drained = served.server.drain(10_000)
  assert.equal((await reader.read()).done, true)
  await drained
})

test("a visitor that leaves stops the application: while it thinks, and while it answers", async () => {
  const ends: string[] = []
  using served = servedApp({
    async fetch(request) {
      const path = new URL(request.url).pathname
      request.signal.addEventListener("abort", () => ends.push(`${path} aborted`))
      if (path === "/think") await new Promise((_, reject) => request.signal.addEventListener("abort", reject))
      return new Response(new ReadableStream({ pull: endless, cancel: () => void ends.push(`${path} cancelled`) }))
    },
  })
  const controller = new AbortController()
  const thinking = served.fetch("/think", { signal: controller.signal })
  await eventually("it thinks", () => served.pair.acceptor.status().streams === 1)
  controller.abort()
  await assert.rejects(thinking, { code: "cancelled" })
  await eventually("it stopped", () => ends.includes("/think aborted"))
  const answer = await served.fetch("/answer")
  await answer.body?.cancel()
  await eventually("it stopped", () => ends.includes("/answer cancelled") && ends.includes("/answer aborted"))
  await eventually("nothing is held", () => served.server.status()["running"] === 0)
  assert.equal(served.lines.length, 0, "a visitor that leaves is no trouble")
})

test("a reader that stops stops the producer within 8 MiB, and one that comes back gets the rest", async () => {
  let made = 0
  const total = 32 * mebibyte
  using served = servedApp({
    fetch: () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            if (made === total) return controller.close()
            controller.enqueue(new Uint8Array(64 * 1024).fill(made / 65_536))
            made += 64 * 1024
          },
        }),
      ),
  })
  const answer = await served.fetch("/")
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
  let read = (await reader.read()).value?.length ?? 0
  const quiet = await settled(() => made)
  assert.ok(quiet - read <= 8 * mebibyte, `${quiet - read} bytes ahead`)
  for (let next = await reader.read(); !next.done; next = await reader.read()) read += next.value.length
  assert.equal(read, total)
})

test("an upload streams in as the application reads, and one that it does not read waits", async () => {
  let go: (() => void) | undefined
  const gate = new Promise<void>((resolve) => (go = resolve))
  using served = servedApp({
    async fetch(request) {
      await gate
      const hash = createHash("sha256")
      for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) hash.update(chunk)
      return new Response(hash.digest("hex"))
    },
  })
  let sent = 0
  const hash = createHash("sha256")
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent === 24 * mebibyte) return controller.close()
      const chunk = new Uint8Array(256 * 1024).fill(sent / 262_144)
      hash.update(chunk)
      sent += chunk.length
      controller.enqueue(chunk)
    },
  })
  const answer = served.fetch("/", { method: "POST", body, duplex: "half" })
  const quiet = await settled(() => sent)
  assert.ok(quiet <= 8 * mebibyte, `${quiet} bytes ahead`)
  go?.()
  assert.equal(await (await answer).text(), hash.digest("hex"))
})

test("an answer before the end of an upload ends the upload", async () => {
  using served = servedApp({ fetch: () => new Response("too much", { status: 413 }) })
  let cancelled = false
  const body = new ReadableStream<Uint8Array>({ pull: endless, cancel: () => void (cancelled = true) })
  const answer = await served.fetch("/", { method: "POST", body, duplex: "half" })
  assert.equal(answer.status, 413)
  assert.equal(await answer.text(), "too much")
  await eventually("the upload ended", () => cancelled)
  await eventually("no stream is left", () => served.pair.acceptor.status().streams === 0)
})

test("a body that breaks off is broken for who reads it, both ways", async () => {
  using served = servedApp({
    async fetch(request) {
      if (request.method === "POST") {
        const outcome = await request.text().catch((error: Error) => error)
        assert.ok(outcome instanceof Error)
      }
      let isFirst = true
      return new Response(
        new ReadableStream({
          pull(controller) {
            if (!isFirst) throw new Error("lost")
            isFirst = false
            controller.enqueue(new Uint8Array(request.url.endsWith("/long") ? 100_000 : 10))
          },
        }),
      )
    },
  })
  const answer = await served.fetch("/long")
  await assert.rejects(answer.text(), { code: "connection_reset" })
  // Of a short one nothing has left yet.
  await assert.rejects(served.fetch("/"), { code: "connection_reset" })
  const broken = new ReadableStream({
    pull(controller) {
      controller.error(new Error("the disk is gone"))
    },
  })
  await assert.rejects(served.fetch("/", { method: "POST", body: broken, duplex: "half" }), /the disk is gone/)
})

test("a short answer leaves in one piece with its head and says its length; a slow one's head does not wait", async () => {
  const slow = Promise.withResolvers<void>()
  using served = servedApp({
    fetch(request) {
      if (request.url.endsWith("/short")) return new Response("short")
      return new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(new Uint8Array(3)),
          async pull(controller) {
            await slow.promise
            controller.close()
          },
        }),
      )
    },
  })
  const short = await served.fetch("/short")
  assert.equal(short.headers.get("content-length"), "5")
  assert.equal(await short.text(), "short")
  const long = await served.fetch("/long")
  assert.equal(long.headers.get("content-length"), null)
  slow.resolve()
  assert.equal((await long.arrayBuffer()).byteLength, 3)
})

test("100 MB pass with an equal hash", { timeout: 30_000 }, async () => {
  const total = 100 * 1000 * 1000
  const made = createHash("sha256")
  let left = total
  using served = servedApp({
    fetch: () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            if (left === 0) return controller.close()
            const chunk = new Uint8Array(Math.min(left, 200_000)).fill(left % 251)
            left -= chunk.length
            made.update(chunk)
            controller.enqueue(chunk)
          },
        }),
      ),
  })
  const answer = await served.fetch("/")
  const got = createHash("sha256")
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) got.update(chunk)
  assert.equal(got.digest("hex"), made.digest("hex"))
})

test("a server that drains waits for what runs, and refuses what comes", async () => {
  let finish: (() => void) | undefined
  const behind = Promise.withResolvers<void>()
  using served = servedApp({
    fetch: (_, env) => {
      env.waitUntil(behind.promise)
      return new Promise<Response>((resolve) => (finish = () => resolve(new Response("done"))))
    },
  })
  const running = served.fetch("/")
  await eventually("it runs", () => finish !== undefined)
  let isDrained = false
  const drained = served.server.drain(10_000).then(() => (isDrained = true))
  const refused = await served.fetch("/")
  assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "1"])
  finish?.()
  assert.equal(await (await running).text(), "done")
  assert.equal(isDrained, false)
  behind.resolve()
  await drained
  assert.equal(served.lines.length, 0)
})

test("a stream that is no request is reset, and a method that no request can have is answered", async () => {
  using served = servedApp({ fetch: () => new Response("x") })
  const outcome = (header: Record<string, never>) =>
    new Promise<unknown>((resolve) => {
      const stream = served.open(header)
      stream.attach({
        data: (chunk) => stream.consumed(chunk.length),
        meta: (block) => resolve(block["status"]),
        end: () => stream.end(),
        drain: () => undefined,
        closed: (error) => resolve(error?.code),
      })
    })
  const of = (fields: object) => outcome(fields as Record<string, never>)
  assert.equal(await of({ method: "GET" }), "protocol")
  assert.equal(await of({ method: "TRACE", target: "/", headers: ["Host", "a.test"], body: "none" }), 501)
  assert.equal(await of({ method: "OPTIONS", target: "*", headers: [], body: "none" }), 200)
})

function endless(controller: ReadableStreamDefaultController<Uint8Array>): void {
  controller.enqueue(new Uint8Array(1024))
}

/** A number when it has stopped growing for 100 turns of the loop, one behind the other. */
async function settled(read: () => number): Promise<number> {
  let last = -1
  for (let quiet = 0; quiet < 100; quiet++) {
    await new Promise((resolve) => void setImmediate(resolve))
    if (read() === last) continue
    last = read()
    quiet = 0
  }
  return last
}
