import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import * as http from "node:http"
import { test } from "node:test"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { visitorOf } from "../../src/capabilities/tab/app/visitor.ts"
import { publicApp } from "../kit/public-app.ts"
import type { PublicApp } from "../kit/public-app.ts"
import { eventually, rawClient } from "../kit/raw-http.ts"
import { kernelBytes, standstill } from "../kit/standstill.ts"

const mebibyte = 1024 * 1024
const run = promisify(execFile)
/** A file of some size. */
const lockFile = fileURLToPath(new URL("../../package-lock.json", import.meta.url))

/** With the name that visitors use; this machine may not resolve it. */
async function curl(app: PublicApp, path: string, ...args: string[]): Promise<string> {
  const place = ["--resolve", `${app.host}:${app.port}:127.0.0.1`, `http://${app.host}:${app.port}${path}`]
  const { stdout } = await run("curl", ["-sS", "--max-time", "20", ...args, ...place], { maxBuffer: 1 << 28 })
  return stdout
}

test("curl gets an answer with its address, its cookies one by one, and HEAD without a body", async () => {
  await using app = await publicApp({
    fetch: (request) => {
      const visitor = visitorOf(request)
      const headers = new Headers([
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["content-length", "9"],
      ])
      return new Response(visitor.kind === "public" ? visitor.address : "", { headers })
    },
  })
  assert.equal(await curl(app, "/"), "127.0.0.1")
  const head = await curl(app, "/", "-i")
  assert.deepEqual(head.match(/^set-cookie: .*$/gim), ["set-cookie: a=1", "set-cookie: b=2"])
  assert.match(head, /^content-length: 9\r$/im)
  assert.match(
    await curl(app, "/", "-I"),
    /^HTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)*content-length: 9\r\n(?:[^\r]+\r\n)*\r\n$/i,
  )
  await app.quiet()
})

test("a form with a file comes in, and a megabyte of JSON comes back", async () => {
  await using app = await publicApp({
    async fetch(request) {
      // oxlint-disable-next-line typescript/no-deprecated -- applications use it
      const form = await request.formData()
      return Response.json({
        name: form.get("name"),
        size: (form.get("file") as File).size,
        filler: "x".repeat(mebibyte),
      })
    },
  })
  const text = await curl(app, "/", "-F", "name=ada", "-F", `file=@${lockFile};type=text/plain`)
  const { name, size, filler } = JSON.parse(text) as { name: string; size: number; filler: string }
  assert.equal(name, "ada")
  assert.ok(size > 50_000)
  assert.equal(filler.length, mebibyte)
})

test("100 MB go out and come in with equal hashes", { timeout: 60_000 }, async () => {
  const total = 100 * 1000 * 1000
  await using app = await publicApp({
    async fetch(request) {
      if (request.method === "PUT") {
        const hash = createHash("sha256")
        for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) hash.update(chunk)
        return new Response(hash.digest("hex"))
      }
      return new Response(bytes(total), { headers: { "content-length": String(total) } })
    },
  })
  const made = createHash("sha256")
  for await (const chunk of bytes(total)) made.update(chunk)
  const expected = made.digest("hex")
  const got = createHash("sha256")
  const answer = await ask(app, { path: "/" })
  for await (const chunk of answer) got.update(chunk as Buffer)
  assert.equal(got.digest("hex"), expected)
  const text = await upload(app, bytes(total))
  assert.equal(text, expected)
  await app.quiet()
})

test("events arrive at once, and a visitor that leaves stops their making", async () => {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  let isStopped = false
  await using app = await publicApp({
    fetch: (request) => {
      request.signal.addEventListener("abort", () => (isStopped = true))
      const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) })
      return new Response(body, { headers: { "content-type": "text/event-stream" } })
    },
  })
  const answer = await ask(app, { path: "/" })
  for (const event of ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]) {
    const arrived = once(answer, "data")
    const sentAt = performance.now()
    controller?.enqueue(Buffer.from(event))
    assert.equal(String((await arrived)[0]), event)
    assert.ok(performance.now() - sentAt < 1000)
  }
  answer.destroy()
  await eventually("the application stopped", () => isStopped)
  await app.quiet()
})

test("a public reader that stops stops the producer: no more than 8 MiB are on the way to the relay's socket", async () => {
  let made = 0
  let isCancelled = false
  await using app = await publicApp({
    fetch: () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            made += 65_536
            controller.enqueue(new Uint8Array(65_536))
          },
          cancel: () => void (isCancelled = true),
        }),
      ),
  })
  const client = await rawClient(app.port)
  await client.send(`GET / HTTP/1.1\r\nHost: ${app.host}\r\n\r\n`)
  await client.takeUntil("\r\n\r\n")
  client.socket.pause()
  await standstill(() => made)
  const inSockets = kernelBytes(client.socket.localPort ?? 0)
  const ahead = made - client.unreadBytes - inSockets
  const figures = [ahead, inSockets].map((bytes) => (bytes / mebibyte).toFixed(1))
  console.log(`# the producer is ${figures[0]} MiB ahead of the relay's socket; the kernel holds ${figures[1]} MiB`)
  assert.ok(ahead <= 8 * mebibyte, `${ahead} bytes ahead`)
  client.reset()
  await eventually("the producer is told", () => isCancelled)
  await app.quiet()
})

test("an upload that is answered before its end leaves nothing behind", async () => {
  await using app = await publicApp({ fetch: () => new Response("no", { status: 413 }) })
  const client = await rawClient(app.port)
  await client.send(`POST / HTTP/1.1\r\nHost: ${app.host}\r\nContent-Length: 1000000\r\n\r\nbeginning`)
  assert.equal((await client.answer("POST")).status, 413)
  client.reset()
  await app.quiet()
})

function bytes(total: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let left = total
  return new ReadableStream({
    pull(controller) {
      const chunk = new Uint8Array(Math.min(left, 150_000)).fill(left % 251)
      left -= chunk.length
      controller.enqueue(chunk)
      if (left === 0) controller.close()
    },
  })
}

async function ask(app: PublicApp, options: http.RequestOptions): Promise<http.IncomingMessage> {
  const { port, host } = app
  const asking = http.get({ host: "127.0.0.1", port, agent: false, headers: { host }, ...options })
  const [answer] = (await once(asking, "response")) as [http.IncomingMessage]
  return answer
}

async function upload(app: PublicApp, body: AsyncIterable<Uint8Array>): Promise<string> {
  const { port, host } = app
  const asking = http.request({ host: "127.0.0.1", port, agent: false, method: "PUT", headers: { host } })
  const answered = once(asking, "response")
  for await (const chunk of body) if (!asking.write(chunk)) await once(asking, "drain")
  asking.end()
  const [answer] = (await answered) as [http.IncomingMessage]
  let text = ""
  for await (const chunk of answer) text += String(chunk)
  return text
}
