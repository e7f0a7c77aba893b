/**
 * The application that tests in browsers run: rows that count, bodies of any size, streams that tell who stopped them. It is
 * built as any other application, and knows nothing of tests.
 */

import type { Peers, TabApp } from "../../../src/tab.ts"
import { noisePart, noisePartBytes } from "./noise.ts"

const born = Date.now()
/** A later version of the file sets it. */
const globals = globalThis as { lawVersion?: number }
let producedBytes = 0
const aborted: string[] = []

const app: TabApp = {
  start: (env) =>
    env.sql.script(
      "CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, mark TEXT NOT NULL); CREATE TABLE IF NOT EXISTS ballast (bytes BLOB)",
    ),

  async fetch(request, env) {
    const url = new URL(request.url)
    const route = `${request.method} ${url.pathname.replace(/^\/(blobs)\/.*/, "/$1/ID")}`
    const number = (name: string) => Number(url.searchParams.get(name) ?? 0)
    switch (route) {
      case "GET /":
        return new Response(
          `<!doctype html><html><head><title>law</title></head><body><h1 id="born">${born}</h1></body>`,
          {
            headers: { "content-type": "text/html; charset=utf-8" },
          },
        )
      case "GET /frames":
        return new Response("<!doctype html><title>frames</title><iframe src='about:blank'></iframe>", {
          headers: { "content-type": "text/html; charset=utf-8" },
        })
      case "GET /fetch":
        return Response.json(
          await fetch(url.searchParams.get("url") ?? "").then(
            ({ status }) => status,
            (error: Error) => error.name,
          ),
        )
      case "GET /small":
        return new Response("small\n")
      case "GET /facts":
        return Response.json({ born, producedBytes, aborted, version: globals.lawVersion ?? 1, key: env.identity.key })
      case "POST /rows":
        return Response.json(
          await env.sql.run("INSERT INTO rows (mark) VALUES (?)", url.searchParams.get("mark") ?? ""),
        )
      case "GET /rows":
        return Response.json((await env.sql.all<{ mark: string }>("SELECT mark FROM rows")).map(({ mark }) => mark))
      case "GET /integrity":
        return Response.json(await env.sql.all("PRAGMA integrity_check"))
      case "POST /ballast": {
        const { lastId } = await env.sql.run("INSERT INTO ballast (bytes) VALUES (randomblob(?))", number("bytes"))
        return Response.json({ lastId })
      }
      case "GET /ballast":
        return Response.json(await env.sql.get("SELECT count(*) AS rows FROM ballast"))
      case "GET /noise":
        return new Response(noise(number("bytes"), request.signal), {
          headers: { "content-length": String(number("bytes")) },
        })
      case "POST /count":
        return Response.json({ bytes: await count(request) })
      case "POST /blobs":
        return Response.json(await env.blobs.put(request.body ?? new Uint8Array()))
      case "GET /blobs/ID": {
        const bytes = await env.blobs.get(url.pathname.slice("/blobs/".length))
        return bytes === undefined ? new Response("none", { status: 404 }) : new Response(bytes)
      }
      // What another server answers, and by which way.
      case "GET /peer":
        return Response.json(await askPeer(env.peers, url.searchParams))
      case "GET /peers":
        return Response.json(env.peers.list())
      case "GET /events":
        return new Response(events(request.signal), { headers: { "content-type": "text/event-stream" } })
      case "GET /forever":
        await new Promise<void>((resolve) => request.signal.addEventListener("abort", () => resolve(), { once: true }))
        aborted.push(url.searchParams.get("mark") ?? "")
        return new Response("nobody reads this")
      default:
        return new Response("There is nothing here", { status: 404 })
    }
  },

  async socket(socket) {
    for await (const message of socket.messages) await socket.send(message)
  },
}

export default app

function noise(bytes: number, signal: AbortSignal): ReadableStream<Uint8Array> {
  let at = 0
  signal.addEventListener("abort", () => aborted.push("noise"), { once: true })
  return new ReadableStream(
    {
      pull(controller) {
        const part = noisePart(at / noisePartBytes).subarray(0, Math.min(noisePartBytes, bytes - at))
        at += part.length
        producedBytes += part.length
        if (part.length > 0) controller.enqueue(part)
        if (at >= bytes) controller.close()
      },
    },
    { highWaterMark: 0 },
  )
}

/** The server's time, every 20 ms. */
function events(signal: AbortSignal): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let timer: ReturnType<typeof setInterval> | undefined
  const stop = () => {
    clearInterval(timer)
    aborted.push("events")
  }
  return new ReadableStream({
    start(controller) {
      signal.addEventListener("abort", stop, { once: true })
      timer = setInterval(() => controller.enqueue(encoder.encode(`data: ${Date.now()}\n\n`)), 20)
    },
    cancel: () => clearInterval(timer),
  })
}

async function askPeer(peers: Peers, words: URLSearchParams): Promise<object> {
  const from = performance.now()
  const mark = words.get("mark")
  const path = words.get("path") ?? "/"
  const answer = await peers.fetch(
    words.get("name") ?? "",
    path,
    mark === null ? undefined : { method: "POST", body: mark },
  )
  const bytes = await answer.arrayBuffer()
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))
  return {
    status: answer.status,
    bytes: bytes.byteLength,
    sha256: Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    ms: performance.now() - from,
  }
}

async function count(request: Request): Promise<number> {
  let bytes = 0
  if (request.body !== null) for await (const part of request.body) bytes += part.length
  return bytes
}
