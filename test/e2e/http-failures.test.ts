import assert from "node:assert/strict"
import * as http from "node:http"
import * as net from "node:net"
import { test } from "node:test"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import type { ChaosProxy } from "../kit/chaos-proxy.ts"
import { localTunnel } from "../kit/local-tunnel.ts"
import { answerEach, httpOrigin, rawOrigin } from "../kit/origin.ts"
import type { RawConnection } from "../kit/origin.ts"
import { EndedError, eventually, rawClient, rawExchange } from "../kit/raw-http.ts"

/** What a visitor's early end may take to reach the service, ms: a second, and what a busy machine adds. */
const cancelMs = 1_500

test("a visitor that leaves while it waits is gone for the service within a second", async () => {
  await using origin = await rawOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  for (const leave of ["reset", "end", "destroy"] as const) {
    const client = await rawClient(tunnel.port)
    void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    await eventually("the request is there", () => origin.connections.at(-1)?.received.endsWith("\r\n\r\n") === true)
    const connection = origin.connections.at(-1) as RawConnection
    if (leave === "reset") client.reset()
    else if (leave === "end") client.end()
    else client.socket.destroy()
    await eventually(`the service hears of it (${leave})`, () => connection.ending === "reset", cancelMs)
    client.socket.destroy()
    await tunnel.quiet()
  }
})

test("a visitor that leaves within an answer is gone for the service within a second", async () => {
  const run = async (framing: string, leave: "reset" | "end" | "destroy") => {
    await using origin = await rawOrigin(({ socket }) => socket.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n`))
    await using tunnel = await localTunnel({ target: origin.target })
    const client = await rawClient(tunnel.port)
    void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    await client.takeUntil("\r\n\r\n")
    const connection = origin.connections[0] as RawConnection
    if (leave === "reset") client.reset()
    else if (leave === "end") client.end()
    else client.socket.destroy()
    await eventually(`the service hears of it (${leave})`, () => connection.ending === "reset", cancelMs)
    client.socket.destroy()
    await tunnel.quiet()
  }
  const framings = ["Content-Length: 1000000", "Transfer-Encoding: chunked", "X-Close: 1"]
  const ways = ["reset", "end", "destroy"] as const
  await Promise.all(framings.flatMap((framing) => ways.map((leave) => run(framing, leave))))
})

test("a visitor that leaves within its upload is gone for the service within a second", async () => {
  for (const framing of ["Content-Length: 1000000", "Transfer-Encoding: chunked"]) {
    for (const leave of ["reset", "end"] as const) {
      await using origin = await rawOrigin()
      await using tunnel = await localTunnel({ target: origin.target })
      const client = await rawClient(tunnel.port)
      void client.send(`POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\n${framing}\r\n\r\n5\r\nhello\r\n`)
      await eventually("the upload has begun", () => origin.received.includes("hello"))
      client[leave]()
      await eventually(`the service hears of it (${leave})`, () => origin.connections[0]?.ending === "reset", cancelMs)
      assert.ok(!origin.received.endsWith("0\r\n\r\n"), "an upload that broke off never looks complete")
      if (leave === "end") assert.equal((await client.answer()).status, 400)
      client.socket.destroy()
      await tunnel.quiet()
    }
  }
})

test("a visitor that ends its side gets an answer that comes soon, and a long one to its end", async () => {
  await using origin = await httpOrigin(async (request, response) => {
    if (request.url === "/soon") setTimeout(() => response.end("soon"), 400)
    else {
      for (let piece = 0; piece < 8; piece++) {
        response.write(`piece ${piece}\n`)
        await new Promise((resolve) => setTimeout(resolve, 250))
      }
      response.end("end\n")
    }
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const get = async (path: string) => {
    const client = await rawClient(tunnel.port)
    client.socket.end(`GET ${path} HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    const answer = await client.answer()
    assert.equal((await client.rest()).ending, "end")
    return answer.body.toString()
  }
  const [soon, long] = await Promise.all([get("/soon"), get("/long")])
  assert.equal(soon, "soon")
  assert.match(long, /^(piece \d\n){8}end\n$/)
})

test("an answer that broke off never looks complete, whatever its framing and whoever reads it", async () => {
  const bodies = {
    "Content-Length: 10": "half",
    "Transfer-Encoding: chunked": "4\r\nhalf\r\n",
    "X-Until: close": "half",
  }
  for (const [field, body] of Object.entries(bodies)) {
    for (const how of field.startsWith("X-") ? ["reset"] : ["reset", "end"]) {
      let seen = Promise.withResolvers<void>()
      await using origin = await rawOrigin(async ({ socket }) => {
        socket.write(`HTTP/1.1 200 OK\r\n${field}\r\n\r\n${body}`)
        await seen.promise
        if (how === "reset") socket.resetAndDestroy()
        else socket.end()
      })
      await using tunnel = await localTunnel({ target: origin.target })
      for (const version of ["1.1", "1.0"]) {
        seen = Promise.withResolvers<void>()
        const client = await rawClient(tunnel.port)
        void client.send(`GET / HTTP/${version}\r\nHost: ${tunnel.host}\r\n\r\n`)
        await client.takeUntil("half")
        seen.resolve()
        const { bytes, ending } = await client.rest()
        assert.equal(ending, "reset", `${field}, ${how}, HTTP/${version}`)
        assert.ok(!bytes.includes("0\r\n\r\n"))
      }
      await tunnel.quiet()
    }
  }
})

test("a service that is down is 502, with a page, a problem document or text by Accept", async () => {
  await using tunnel = await localTunnel({ target: `127.0.0.1:${await freePort()}` })
  const types = { "text/html": "text/html", "application/json": "application/problem+json", "*/*": "text/plain" }
  const client = await rawClient(tunnel.port)
  for (const [accept, type] of Object.entries(types)) {
    void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\nAccept: ${accept}\r\n\r\n`)
    const answer = await client.answer()
    assert.deepEqual([answer.status, answer.header("rdv-error")], [502, "unreachable"])
    assert.ok(answer.header("content-type")?.startsWith(type), answer.header("content-type"))
    assert.match(answer.body.toString(), /nothing listens on 127\.0\.0\.1:\d+/)
  }
  void client.send(`HEAD / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  assert.equal((await client.answer("HEAD")).status, 502)
  assert.equal(client.unreadBytes, 0)
  void client.send(`POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 5\r\n\r\n`)
  assert.equal((await client.answer()).header("connection"), "close")
  client.socket.destroy()
})

test("a service that ends or resets before its answer is 502", async () => {
  for (const how of ["reset", "end"] as const) {
    for (const first of ["", "HTTP/1.1 200 OK\r\nX-Half: "]) {
      await using origin = await rawOrigin(({ socket }) => {
        socket.write(first, () => (how === "reset" ? socket.resetAndDestroy() : socket.end()))
      })
      await using tunnel = await localTunnel({ target: origin.target })
      const answer = await rawExchange(tunnel.port, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
      assert.deepEqual([answer.status, answer.header("rdv-error")], [502, "unreachable"])
    }
  }
})

test("an answer that is no HTTP, or that two readers would frame differently, is 502", async () => {
  const bad = [
    "garbage\r\n\r\n",
    "SSH-2.0-OpenSSH_9.6\r\n",
    "HTTP/2 200\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nfour",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n Folded: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX-Nul: \0\r\n\r\n",
    `HTTP/1.1 200 OK\r\nX-Large: ${"x".repeat(40_000)}\r\n\r\n`,
  ]
  for (const bytes of bad) {
    await using origin = await rawOrigin(({ socket }) => socket.write(Buffer.from(bytes, "latin1")))
    await using tunnel = await localTunnel({ target: origin.target })
    const answer = await rawExchange(tunnel.port, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    assert.deepEqual([answer.status, answer.header("rdv-error")], [502, "bad_response"], bytes.slice(0, 60))
    await eventually("the bad connection is closed", () => origin.connections[0]?.ending !== undefined)
  }
})

test("bytes behind an answer never become part of the next one", async () => {
  await using origin = await rawOrigin(
    answerEach("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"),
  )
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  for (let round = 0; round < 20; round++) {
    void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    assert.equal((await client.answer()).body.toString(), "ok")
  }
  client.socket.destroy()
})

test("a service that closes idle connections at once costs no GET", async () => {
  await using origin = await httpOrigin((_request, response) => response.end("ok"), { keepAliveTimeout: 5 })
  await using tunnel = await localTunnel({ target: origin.target })
  const run = async () => {
    const client = await rawClient(tunnel.port)
    for (let round = 0; round < 60; round++) {
      void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
      assert.equal((await client.answer()).status, 200)
      await new Promise((resolve) => setTimeout(resolve, round % 13))
    }
    client.socket.destroy()
  }
  await Promise.all(Array.from({ length: 20 }, run))
})

test("a GET on a connection that dies is sent once more, a POST never", async () => {
  // Each connection serves one request and is reset by the next one, without an answer.
  await using origin = await rawOrigin((connection) => {
    const heads = connection.received.split("\r\n\r\n").length - 1
    if (heads === 1) connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    else connection.socket.resetAndDestroy()
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  const ask = async (method: string, path: string) => {
    void client.send(
      `${method} ${path} HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 0\r\n\r\n`.replace(
        method === "GET" ? "Content-Length: 0\r\n" : "",
        "",
      ),
    )
    return (await client.answer()).status
  }
  assert.equal(await ask("GET", "/1"), 200)
  assert.equal(await ask("GET", "/2"), 200)
  assert.equal(await ask("POST", "/3"), 502)
  assert.equal(origin.received.split("GET /2").length - 1, 2)
  assert.equal(origin.received.split("POST /3").length - 1, 1)
  client.socket.destroy()
})

test("an unknown host is 404 with a page, a missing or doubled one 400", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const page = await rawExchange(tunnel.port, "GET / HTTP/1.1\r\nHost: <b>.localhost\r\nAccept: text/html\r\n\r\n")
  assert.equal(page.status, 400)
  const unknown = await rawExchange(
    tunnel.port,
    "GET / HTTP/1.1\r\nHost: nobody.localhost\r\nAccept: text/html\r\n\r\n",
  )
  assert.deepEqual([unknown.status, unknown.header("rdv-error")], [404, "no_route"])
  assert.match(unknown.body.toString(), /^<!doctype html>/i)
  for (const hosts of ["", `Host: ${tunnel.host}\r\nHost: ${tunnel.host}\r\n`, "Host: a b\r\n"]) {
    assert.equal((await rawExchange(tunnel.port, `GET / HTTP/1.1\r\n${hosts}\r\n`)).status, 400)
  }
  assert.equal((await rawExchange(tunnel.port, "GET / HTTP/1.0\r\n\r\n")).status, 404)
  assert.deepEqual(origin.requests, [])
})

test("the host is found whatever its case and port", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  for (const host of [tunnel.host.toUpperCase(), `${tunnel.host}:1`, `${tunnel.host}:65535`]) {
    assert.equal((await rawExchange(tunnel.port, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).status, 200, host)
  }
})

test("when the agent has left, its name is 404", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  await tunnel.agent.stop()
  await eventually("the route is gone", () => (tunnel.relay.relay.status()["routes"] as unknown[]).length === 0)
  const answer = await rawExchange(tunnel.port, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  assert.deepEqual([answer.status, answer.header("rdv-error")], [404, "no_route"])
})

test("an agent that leaves lets the present answer finish and takes nothing new", async () => {
  let finish: () => void = () => undefined
  await using origin = await httpOrigin((_request, response) => {
    response.write("first ")
    finish = () => response.end("last")
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const running = await rawClient(tunnel.port)
  void running.send(`GET /1 HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  await running.takeUntil("first")
  const stopped = tunnel.agent.stop(3_000)
  const refused = async () =>
    (await rawExchange(tunnel.port, `GET /2 HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)).header("rdv-error")
  let reason = await refused()
  for (const until = performance.now() + 1_000; reason === undefined && performance.now() < until;)
    reason = await refused()
  assert.match(String(reason), /^(draining|no_route)$/)
  finish()
  await running.takeUntil("last\r\n0\r\n\r\n")
  await stopped
  running.socket.destroy()
})

test("a relay that stops lets the present answer finish, and closes who is idle", async () => {
  let finish: () => void = () => undefined
  await using origin = await httpOrigin((request, response) => {
    if (request.url === "/idle") {
      response.end("idle")
      return
    }
    response.write("first ")
    finish = () => response.end("last")
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const idle = await rawClient(tunnel.port)
  void idle.send(`GET /idle HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  await idle.answer()
  const running = await rawClient(tunnel.port)
  void running.send(`GET /run HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  await running.takeUntil("first")
  const stopped = tunnel.relay.stop(3_000)
  assert.equal((await idle.rest()).ending, "end")
  idle.socket.destroy()
  finish()
  await running.takeUntil("last\r\n0\r\n\r\n")
  assert.equal((await running.rest()).ending, "end")
  running.socket.destroy()
  await stopped
})

test("requests wait for a session that lost its link, and are answered when it is back", async () => {
  await using origin = await httpOrigin()
  await using between = cuttable()
  await using tunnel = await localTunnel({ target: origin.target, between: between.dial })
  between.cut()
  await eventually("the session is suspended", () => sessionState(tunnel.relay.relay.status()) === "suspended")
  const waiting = rawExchange(tunnel.port, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  await eventually("the request waits", () => tunnel.held().streams === 1)
  assert.deepEqual(origin.requests, [])
  between.mend()
  assert.equal((await waiting).status, 200)
})

test("a session that stays away longer than its wait is 503 with Retry-After, also in the middle of an upload", async () => {
  await using origin = await httpOrigin()
  await using between = cuttable()
  await using tunnel = await localTunnel({ target: origin.target, between: between.dial, limits: { waitMs: 600 } })
  const upload = await rawClient(tunnel.port)
  void upload.send(`POST /echo HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 1000\r\n\r\nabc`)
  await eventually("the upload has begun", () => origin.requests.length === 1)
  between.cut()
  await eventually("the session is suspended", () => sessionState(tunnel.relay.relay.status()) === "suspended")
  const started = performance.now()
  const answer = await rawExchange(tunnel.port, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  const tookMs = performance.now() - started
  assert.deepEqual([answer.status, answer.header("rdv-error")], [503, "suspended"])
  assert.ok(Number(answer.header("retry-after")) > 0)
  assert.ok(tookMs > 500 && tookMs < 3_000, `${tookMs} ms`)
  assert.equal((await upload.answer()).status, 503)
  upload.socket.destroy()
})

test("Node's client sees a broken answer as an error, not as an end", async () => {
  const seen = Promise.withResolvers<void>()
  await using origin = await rawOrigin(async ({ socket }) => {
    socket.write("HTTP/1.1 200 OK\r\n\r\nno length")
    await seen.promise
    socket.resetAndDestroy()
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const outcome = await new Promise<string>((resolve) => {
    const request = http.get({ port: tunnel.port, host: "127.0.0.1", headers: { Host: tunnel.host } }, (answer) => {
      answer.on("error", () => resolve("error")).on("end", () => resolve("end"))
      answer.on("data", () => seen.resolve())
    })
    request.on("error", () => resolve("error"))
  })
  assert.equal(outcome, "error")
})

test("raw answers are read to the end here only when they end in good order", async () => {
  await using origin = await rawOrigin(({ socket }) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"))
  await assert.rejects(rawExchange(origin.port, "GET / HTTP/1.1\r\n\r\n"), EndedError)
})

/** Stands between agent and relay: `cut` breaks the link and lets no new one through until `mend`. */
function cuttable(): AsyncDisposable & { dial(port: number): Promise<number>; cut(): void; mend(): void } {
  let proxy: ChaosProxy | undefined
  return {
    async dial(port) {
      proxy = await chaosProxy({ target: { port } })
      return proxy.port
    },
    cut() {
      proxy?.refuse(true)
      proxy?.cutAll("rst")
    },
    mend: () => proxy?.refuse(false),
    [Symbol.asyncDispose]: async () => proxy?.close(),
  }
}

function sessionState(status: { readonly [key: string]: unknown }): unknown {
  return (status["sessions"] as { state: string }[])[0]?.state
}

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
