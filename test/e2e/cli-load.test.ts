/** Holds `rdv load` and `rdv load compare` by their command line: what they print, write and return. */

import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { ServerResponse } from "node:http"
import * as net from "node:net"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { assertOneLine, runCommand, RunningCommand, temporaryFolder } from "../kit/command.ts"

const folder = temporaryFolder()
const data = folder.path
const file = (name: string): string => join(data, name)
const rdv = (...args: readonly string[]) => runCommand(["load", ...args], { data })

let echo: net.Server
let web: ReturnType<typeof createServer>
let echoPort = 0
let webPort = 0

before(async () => {
  echo = net.createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => undefined)
    socket.pipe(socket)
  })
  web = createServer((request, response) => {
    response.statusCode = request.url === "/missing" ? 404 : 200
    response.end(`${request.method} ${request.url}`)
  })
  echoPort = await listen(echo)
  webPort = await listen(web)
})
after(() => {
  echo.close()
  web.close()
  web.closeAllConnections()
  folder[Symbol.dispose]()
})

async function listen(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return (server.address() as AddressInfo).port
}

test("a balancer's file with three apps: one connection to each of twelve ports, each message echoed", async () => {
  const servers = await Promise.all(
    Array.from({ length: 12 }, async () => {
      let connections = 0
      const server = net.createServer((socket) => {
        connections++
        socket.on("error", () => undefined)
        socket.pipe(socket)
      })
      return { server, port: await listen(server), connections: () => connections }
    }),
  )
  const names = ["five-thousand", "six-thousand", "seven-thousand"]
  const apps = names.map((Name, app) => ({
    Name,
    Ports: servers.slice(app * 4, app * 4 + 4).map(({ port }) => port),
    // What is behind a balancer is not the tester's matter.
    Targets: ["tcp-echo.example:5001", "bad.target.for.testing:6003"],
  }))
  writeFileSync(file("config.json"), JSON.stringify({ Apps: apps }))
  try {
    const { code, stdout } = await rdv(file("config.json"), "50", "--quiet")
    assert.equal(code, 0)
    assert.match(stdout, /p50 ms\s+p90 ms\s+p99 ms\s+p99\.9 ms\s+requests\/s/)
    for (const [at, { port, connections }] of servers.entries()) {
      assert.match(stdout, new RegExp(String.raw`^${names[Math.floor(at / 4)]}:${port}\s+[\d.]+\s+[\d.]+`, "m"))
      assert.equal(connections(), 1)
    }
    assert.match(stdout, /^(in all|all)/m)
    const { stdout: json } = await rdv(file("config.json"), "--quiet", "--json")
    const result = JSON.parse(json) as { total: { completed: number } }
    assert.equal(result.total.completed, 12 * 10)
  } finally {
    for (const { server } of servers) server.close()
  }
})

test("exit codes: held, not held, wrong usage, unreachable", async () => {
  const target = `http://127.0.0.1:${webPort}/`
  const plan = ["--rate", "100", "--duration", "1s", "--quiet"]
  assert.ok([0, 4].includes((await rdv(target, ...plan, "--fail", "p50<10s")).code ?? -1))
  const failed = await rdv(target, "--count", "50", "--quiet", "--fail", "completed>=51")
  assert.equal(failed.code, 99)
  assert.match(failed.stdout, /FAILED\s+completed>=51/)
  assertOneLine(await rdv(target, "--fail", "p99>20ms"), 2, /p99>20ms.*p99<20ms/)
  assertOneLine(await rdv(target, "--rate", "fast"), 2, /--rate/)
  assertOneLine(await rdv("localhost:80"), 2, /localhost:80/)
  const free = net.createServer()
  const port = await listen(free)
  await new Promise((resolve) => free.close(resolve))
  const refused = await rdv(`tcp://127.0.0.1:${port}`, "--each", "3", "--quiet")
  assert.equal(refused.code, 3)
  assert.match(refused.stdout, /refused\s+3/)
})

test("HTTP: requests as they were asked for, and a status that was not expected is an error", async () => {
  const ok = await rdv(
    `http://127.0.0.1:${webPort}/a?b`,
    "--method",
    "POST",
    "--body",
    "hello",
    "--count",
    "20",
    "--quiet",
    "--json",
  )
  assert.equal((JSON.parse(ok.stdout) as { total: { completed: number } }).total.completed, 20)
  const missing = await rdv(`http://127.0.0.1:${webPort}/missing`, "--count", "20", "--quiet", "--json")
  const { total } = JSON.parse(missing.stdout) as {
    total: { completed: number; failed: number; errors: { status: { count: number; example: string } } }
  }
  assert.deepEqual([total.completed, total.failed, total.errors.status.count], [0, 20, 20])
  assert.match(total.errors.status.example, /404/)
})

test("a scenario file, and what it writes: a page, a table, a log; two results are compared", async () => {
  writeFileSync(
    file("plan.yaml"),
    `name: ladder\ntarget: tcp://127.0.0.1:${echoPort}\nphase:\n  - constant 100 for 1s\n  - ramp 100..400 for 1s\n`,
  )
  const outputs = ["--html", file("r.html"), "--csv", file("r.csv"), "--hdr", file("r.hlog")]
  const { stdout, code } = await rdv(file("plan.yaml"), "--quiet", "--json", ...outputs)
  assert.ok(code === 0 || code === 4, String(code))
  const result = JSON.parse(stdout) as { total: { planned: number; completed: number } }
  assert.equal(result.total.planned, 350)
  assert.equal(result.total.completed, 350)
  const page = readFileSync(file("r.html"), "utf8")
  assert.match(page, /^<!doctype html>/i)
  assert.ok(page.length < 300 * 1024)
  assert.doesNotMatch(page, /(src|href)="(https?:)?\/\//)
  assert.match(readFileSync(file("r.csv"), "utf8"), /^time_s,.*\r\n[\d.]+,/)
  assert.match(readFileSync(file("r.hlog"), "utf8"), /^#\[Histogram log format version 1\.3\]/)
  writeFileSync(file("a.json"), stdout)
  writeFileSync(file("b.json"), (await rdv(file("plan.yaml"), "--quiet", "--json")).stdout)
  const compared = await rdv("compare", file("a.json"), file("b.json"), "--html", file("c.html"))
  assert.equal(compared.code, 0)
  assert.match(compared.stdout, /p99/)
  assert.match(compared.stdout, /unproven|proves nothing/)
  assert.match(readFileSync(file("c.html"), "utf8"), /^<!doctype html>/i)
  assertOneLine(await rdv("compare", file("a.json"), file("r.csv")), 2, /r\.csv: the file is no JSON/)
})

test("Ctrl+C: no further messages, the answers come in, and the report is printed", async () => {
  await using running = new RunningCommand(
    ["load", `tcp://127.0.0.1:${echoPort}`, "--rate", "200", "--duration", "1h", "--prometheus", "0"],
    { data },
  )
  await running.says(/figures at http:\/\/127\.0\.0\.1:\d+\/metrics/)
  const url = /http:\/\/127\.0\.0\.1:\d+\/metrics/.exec(running.stderr)?.[0] as string
  // The first second has been counted.
  for (let completed = 0; completed === 0;) {
    const text = await (await fetch(url)).text()
    completed = Number(/outcome="completed"\} (\d+)/.exec(text)?.[1] ?? 0)
  }
  running.kill("SIGINT")
  const { stdout, code } = await running.ended
  assert.ok(code === 0 || code === 4, String(code))
  assert.match(stdout, /completed\s+[1-9]\d*/)
  assert.match(stdout, /cut at the end\s+0/)
  assert.match(stdout, /interrupted/)
})

test("the highest rate that holds a threshold is found and confirmed", async () => {
  // A service that answers 150 requests a second and no more, and forgets those who left.
  const waiting: ServerResponse[] = []
  const slow = createServer((_request, response) => {
    waiting.push(response)
    response.on("close", () => waiting.splice(waiting.indexOf(response) >>> 0, 1))
  })
  let answered = 0
  const startMs = performance.now()
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startMs) * 150) / 1000)
    for (; answered < due; answered++) waiting.shift()?.end("ok")
  }, 5)
  const port = await listen(slow)
  try {
    const target = `http://127.0.0.1:${port}/`
    const search = [
      "--find-max",
      "p90<100ms",
      "--rate",
      "80",
      "--duration",
      "1s",
      "--max-rate",
      "640",
      "--drain",
      "0",
      "--quiet",
    ]
    const { stdout } = await runCommand(["load", target, ...search], { data, patienceMs: 60_000 })
    const found = Number(/^([\d,.]+)\/s is the highest rate/m.exec(stdout)?.[1]?.replace(",", ""))
    assert.ok(found >= 80 && found <= 220, stdout)
  } finally {
    clearInterval(timer)
    slow.close()
    slow.closeAllConnections()
  }
})
