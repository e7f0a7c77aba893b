/** Holds `rdv http` and `rdv tcp` with the relay in their own process: what a first user does. */

import assert from "node:assert/strict"
import { mkdirSync, writeFileSync } from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import { join } from "node:path"
import { after, test } from "node:test"
import { root } from "../repo/source-files.ts"
import { RunningCommand, temporaryFolder, visit } from "../kit/command.ts"

const folder = temporaryFolder()
const data = folder.path
after(() => folder[Symbol.dispose]())
const anywhere = ["--listen", "127.0.0.1:0", "--json"]

test("rdv http puts a local service on a readable name below localhost", async () => {
  await using origin = await startOrigin()
  await using tunnel = new RunningCommand(["http", String(origin.port), ...anywhere], { data })
  const exposed = await tunnel.event("exposed")
  assert.match(String(exposed["url"]), /^http:\/\/[a-z]+-[a-z]+\.localhost:\d+$/)
  assert.equal(exposed["target"], `localhost:${origin.port}`)
  const answer = await visit(String(exposed["url"]), "/hello?x=1")
  assert.equal(answer.body, "GET /hello?x=1")
  const { method, path, status } = await tunnel.event("exchange")
  assert.deepEqual({ method, path, status }, { method: "GET", path: "/hello?x=1", status: 200 })
})

test("the picked name stays the same for the same target, and another target gets another", async () => {
  const names = []
  for (const target of ["3001", "3001", "3002"]) {
    await using tunnel = new RunningCommand(["http", target, ...anywhere], { data })
    names.push((await tunnel.event("exposed"))["name"])
  }
  assert.equal(names[0], names[1])
  assert.notEqual(names[0], names[2])
})

test("rdv http serves a folder, and nothing outside of it", async () => {
  const site = join(data, "site")
  mkdirSync(site)
  writeFileSync(join(site, "index.html"), "<h1>hello</h1>")
  writeFileSync(join(data, "secret.txt"), "a secret")
  await using tunnel = new RunningCommand(["http", "./site", "--name", "docs", ...anywhere], { data })
  const url = String((await tunnel.event("exposed"))["url"])
  assert.match(url, /^http:\/\/docs\.localhost:/)
  const page = await visit(url)
  assert.equal(page.body, "<h1>hello</h1>")
  assert.match(String(page.headers["content-type"]), /^text\/html/)
  for (const path of ["/%2e%2e/secret.txt", "/..%2fsecret.txt"]) {
    const outside = await visit(url, path)
    assert.ok(outside.status >= 400 && !outside.body.includes("a secret"), path)
  }
})

test("a target that is down is a warning, and visitors read why", async () => {
  const port = await freePort()
  await using tunnel = new RunningCommand(["http", String(port), ...anywhere], { data })
  const url = String((await tunnel.event("exposed"))["url"])
  await tunnel.says(new RegExp(`rdv: warning: nothing listens on localhost:${port} yet`))
  const answer = await visit(url, "/", { accept: "text/html" })
  assert.equal(answer.status, 502)
  assert.match(answer.body, new RegExp(`nothing listens on localhost:${port}`))
})

test("--host-header rewrite shows the service its own name", async () => {
  await using origin = await startOrigin()
  const flags = ["--host-header", "rewrite", ...anywhere]
  await using tunnel = new RunningCommand(["http", String(origin.port), ...flags], { data })
  const url = String((await tunnel.event("exposed"))["url"])
  assert.equal((await visit(url, "/host")).body, `localhost:${origin.port}`)
})

test("rdv tcp passes bytes both ways on a port that stays the same", async () => {
  const echo = net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket))
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve))
  const { port } = echo.address() as net.AddressInfo
  try {
    const ports = []
    for (let round = 0; round < 2; round++) {
      await using tunnel = new RunningCommand(["tcp", `127.0.0.1:${port}`, "--json"], { data })
      const { url, name } = await tunnel.event("exposed")
      assert.equal(url, `tcp://localhost:${String(name)}`)
      ports.push(name)
      assert.equal(await echoed(Number(name), "half-closed after this"), "half-closed after this")
    }
    assert.equal(ports[0], ports[1])
  } finally {
    echo.close()
  }
})

test("SIGTERM lets a running exchange finish and ends with code 0", async () => {
  await using origin = await startOrigin()
  await using tunnel = new RunningCommand(["http", String(origin.port), ...anywhere], { data })
  const slow = visit(String((await tunnel.event("exposed"))["url"]), "/slow")
  await origin.waiting
  tunnel.kill("SIGTERM")
  await tunnel.event("draining")
  origin.release()
  assert.equal((await slow).body, "slow but whole")
  assert.equal((await tunnel.ended).code, 0)
})

test("the second signal quits at once, the same one twice within a moment does not", async () => {
  await using origin = await startOrigin()
  await using tunnel = new RunningCommand(["http", String(origin.port), ...anywhere], { data })
  const cut = visit(String((await tunnel.event("exposed"))["url"]), "/slow").catch((error: Error) => error)
  await origin.waiting
  tunnel.kill("SIGINT")
  tunnel.kill("SIGINT")
  await tunnel.event("draining")
  tunnel.kill("SIGTERM")
  assert.equal((await tunnel.ended).code, 130)
  assert.ok((await cut) instanceof Error)
})

test("a drain has a deadline", async () => {
  await using origin = await startOrigin()
  await using tunnel = new RunningCommand(["http", String(origin.port), "--drain", "200ms", ...anywhere], { data })
  const cut = visit(String((await tunnel.event("exposed"))["url"]), "/slow").catch((error: Error) => error)
  await origin.waiting
  tunnel.kill("SIGTERM")
  assert.equal((await tunnel.ended).code, 0)
  await cut
})

test(
  "npm start with arguments is rdv with them, and passes a signal on",
  { skip: process.platform === "win32" },
  async () => {
    const script = join(root, "scripts/start.mjs")
    const options = { data, script, cwd: root, env: { INIT_CWD: data } }
    await using start = new RunningCommand(["http", "./site", ...anywhere], options)
    assert.equal((await visit(String((await start.event("exposed"))["url"]))).body, "<h1>hello</h1>")
    start.kill("SIGTERM")
    assert.equal((await start.ended).code, 0)
  },
)

interface SlowOrigin extends AsyncDisposable {
  readonly port: number
  /** A request for `/slow` is here. */
  readonly waiting: Promise<void>
  /** Answers it. */
  release(): void
}

async function startOrigin(): Promise<SlowOrigin> {
  const waiting = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const server = http.createServer((request, response) => {
    if (request.url === "/host") response.end(request.headers.host)
    else if (request.url === "/slow") {
      response.write("slow but ")
      waiting.resolve()
      void released.promise.then(() => response.end("whole"))
    } else response.end(`${request.method} ${request.url}`)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    port: (server.address() as net.AddressInfo).port,
    waiting: waiting.promise,
    release: () => released.resolve(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function echoed(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: "127.0.0.1", port })
    let heard = ""
    socket.setEncoding("utf8")
    socket.on("data", (part: string) => (heard += part))
    socket.on("end", () => resolve(heard))
    socket.on("error", reject)
    socket.end(text)
  })
}

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
