/**
 * A server worker for tests of what is around it: it takes the lock as the real one does, has no database, and serves an
 * application whose paths do what tests ask for. Effects are counted by the site (`/.rdv/effects`).
 */

import { RdvError } from "../../../src/base/error.ts"
import { silentLog } from "../../../src/base/log.ts"
import { systemClock } from "../../../src/base/clock.ts"
import type { TabApp } from "../../../src/capabilities/tab/app/app.ts"
import { TabServer } from "../../../src/capabilities/tab/serve/tab-server.ts"
import type { FromWorker, ToWorker } from "../../../src/web/tab/messages.ts"
import { lockName } from "../../../src/web/tab/messages.ts"
import { PortServer } from "../../../src/web/tab/port-server.ts"
import type { RuntimeFiles } from "../../../src/web/tab/runtime-files.ts"
import { runtimePath } from "../../../src/web/tab/runtime-files.ts"

interface WorkerScope {
  postMessage(message: unknown): void
  close(): void
  onmessage: ((event: { readonly data: ToWorker; readonly ports: readonly MessagePort[] }) => void) | null
  readonly navigator: { readonly locks: { request(name: string, held: () => Promise<void>): Promise<void> } }
}

const scope = globalThis as unknown as WorkerScope
const say = (message: FromWorker) => scope.postMessage(message)
const born = performance.timeOrigin + performance.now()
let lastCancelled = ""
let produced = 0

const app: TabApp = {
  async fetch(request) {
    const url = new URL(request.url)
    const number = (name: string) => Number(url.searchParams.get(name) ?? 0)
    switch (url.pathname) {
      case "/":
        return html(
          `<h1>Served by the tab</h1><p id="born">${born}</p><img src="/picture.svg"><form method="post" action="/form"><input name="word"></form>`,
        )
      case "/favicon.ico":
        return new Response(null, { status: 204 })
      case "/picture.svg":
        return new Response(`<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"/>`, {
          headers: { "content-type": "image/svg+xml" },
        })
      case "/facts":
        return Response.json({
          born,
          method: request.method,
          headers: Object.fromEntries(request.headers),
          lastCancelled,
          produced,
        })
      case "/form": {
        const form = await request.formData()
        return html(`<h1>${String(form.get("word"))}</h1>`)
      }
      // For pages that no debugger is attached to: the script reports to the site what it gives.
      case "/script":
        return html(
          `<script>(async () => { ${url.searchParams.get("run")} })().catch(String).then((value) => fetch("/.rdv/reports", { method: "POST", body: JSON.stringify({ id: "${url.searchParams.get("id")}", value }) }))</script>`,
        )
      case "/redirect":
        return new Response(null, { status: 303, headers: { location: "/?redirected" } })
      case "/large":
        return html("<p>" + "x".repeat(number("bytes")))
      case "/echo":
        return new Response(request.body, { headers: { "content-type": request.headers.get("content-type") ?? "" } })
      case "/count": {
        let bytes = 0
        if (request.body !== null) for await (const chunk of request.body) bytes += chunk.length
        return Response.json({ bytes })
      }
      case "/never-reads":
        return new Response("enough")
      case "/effect":
        await new Promise((resolve) => setTimeout(resolve, number("ms")))
        await fetch(`/.rdv/effects?id=${url.searchParams.get("id")}`, { method: "POST" })
        return new Response("done")
      case "/bytes":
        return new Response(stream(number("bytes"), request.signal))
      case "/fails":
        return new Response(broken())
      case "/events":
        return new Response(events(request.signal), { headers: { "content-type": "text/event-stream" } })
      case "/hang": {
        const end = Date.now() + number("ms")
        while (Date.now() < end);
        return new Response("awake")
      }
      case "/never":
        request.signal.addEventListener("abort", () => (lastCancelled = url.search))
        return new Promise(() => undefined)
      default:
        return new Response("nothing here", { status: 404 })
    }
  },
  async socket(socket, request) {
    const { pathname } = new URL(request.url)
    if (pathname === "/refused") throw new RdvError("forbidden", "not you")
    for await (const message of socket.messages) {
      if (message === "bye") socket.close(4000, "as you like")
      else await socket.send(message)
    }
  },
}

function html(text: string): Response {
  return new Response(`<!doctype html><html><head><title>app</title></head><body>${text}</body></html>`, {
    headers: { "content-type": "text/html; charset=utf-8" },
  })
}

function stream(bytes: number, signal: AbortSignal): ReadableStream<Uint8Array> {
  let left = bytes
  produced = 0
  signal.addEventListener("abort", () => (lastCancelled = "bytes"))
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = new Uint8Array(Math.min(left, 65_536)).fill(produced % 251)
        left -= chunk.length
        produced += chunk.length
        if (chunk.length > 0) controller.enqueue(chunk)
        if (left === 0) controller.close()
      },
    },
    { highWaterMark: 0 },
  )
}

function broken(): ReadableStream<Uint8Array> {
  let n = 0
  return new ReadableStream({
    async pull(controller) {
      if (n++ === 0) controller.enqueue(new Uint8Array(100_000))
      else throw new Error("broken inside")
    },
  })
}

function events(signal: AbortSignal): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let n = 0
  return new ReadableStream({
    start(controller) {
      const timer = setInterval(() => controller.enqueue(encoder.encode(`data: ${n++} ${Date.now()}\n\n`)), 20)
      signal.addEventListener("abort", () => {
        clearInterval(timer)
        lastCancelled = "events"
      })
    },
  })
}

async function lead(): Promise<void> {
  say({ kind: "starting" })
  const runtime = (await (await fetch(runtimePath)).json()) as RuntimeFiles
  const env = {} as ConstructorParameters<typeof TabServer>[0]["env"]
  const server = new TabServer({
    app,
    env,
    clock: systemClock,
    log: silentLog,
    insertIntoPages: `<script src="${runtime.page}"></script>`,
  })
  const epoch = Date.now()
  const ports = new PortServer({
    server,
    epoch,
    control: {
      status: () => Promise.resolve({ epoch, isDurable: false, url: null, name: null, key: null, relay: null }),
      "go-public": ({ name }) => Promise.resolve({ url: `https://${name}.example/` }),
      "go-private": () => Promise.resolve(null),
      "export-database": () => Promise.resolve(new Blob(["rows"])),
      "import-database": () => Promise.reject(new RdvError("corrupt", "That is no database")),
    },
  })
  const end = Promise.withResolvers<void>()
  scope.onmessage = ({ data, ports: [port] }) => {
    if (data.kind === "ping") say({ kind: "pong", n: data.n })
    else if (data.kind === "connect" && port !== undefined) ports.serve(port, data.from)
    else if (data.kind === "end-streams") {
      ports.endStreams()
      say({ kind: "streams-ended" })
    } else if (data.kind === "stop") {
      ports.drain()
      void server.drain(data.graceMs).then(() => end.resolve())
    }
  }
  say({ kind: "leading", epoch, isDurable: false })
  await end.promise
  say({ kind: "stopped" })
  scope.close()
}

scope.onmessage = ({ data }) => {
  if (data.kind === "ping") say({ kind: "pong", n: data.n })
}
say({ kind: "waiting" })
void scope.navigator.locks.request(lockName, lead)
