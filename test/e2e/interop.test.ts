/**
 * The implementation under `interop/`, written in Python from docs/protocol.md alone, against a relay of ours: what the
 * document says and what the code does are the same. The relay and each agent are processes of their own.
 */

import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { request } from "node:http"
import type { IncomingHttpHeaders, IncomingMessage } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { fileURLToPath } from "node:url"
import { LineProcess, missingPython } from "../kit/line-process.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const env: NodeJS.ProcessEnv = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" }
const deadlineMs = 15_000
const mebibyte = 2 ** 20
const bigBytes = 8 * mebibyte
const echoBytes = 4 * mebibyte
/** Bytes over the agent's links, both directions: the two cuts fall into the download of 8 MiB. */
const cutPlaces = [2_500_000, 6_000_000]

const skip = missingPython()

describe("the Python implementation", { skip, concurrency: false }, () => {
  let folder = ""
  let relay: LineProcess
  let port = ""

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdv-interop-"))
    const flags = ["--open", "--listen", "127.0.0.1:0", "--json", "--data", folder]
    relay = new LineProcess(process.execPath, ["src/cli/main.ts", "relay", ...flags])
    const { addresses } = (await relay.event("listening")) as unknown as { addresses: string[] }
    port = /:(\d+)$/.exec(addresses[0] as string)?.[1] as string
  })

  after(async () => {
    await relay.stop()
    await rm(folder, { recursive: true, force: true })
  })

  test("passes the golden vectors and its own tests", async () => {
    const child = spawn("python3", ["-m", "unittest", "discover", "-s", "interop"], { cwd: root, env, stdio: "pipe" })
    let said = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text))
    const [code] = (await once(child, "close")) as [number | null]
    assert.equal(code, 0, said)
  })

  for (const scheme of ["tcp", "http", "ws"]) {
    test(`serves visitors through the relay over ${scheme}:// while its link is cut twice`, async () => {
      const name = `python-${scheme}`
      const cuts = cutPlaces.flatMap((place) => ["--cut-after", String(place)])
      const address = `${scheme}://127.0.0.1:${port}`
      const agent = new LineProcess("python3", ["interop/agent.py", "--relay", address, "--name", name, ...cuts])
      try {
        const exposed = await agent.event("exposed")
        assert.equal(exposed["name"], name)
        const visit = (path: string, body?: Buffer) => exchange(Number(port), `${name}.localhost:${port}`, path, body)

        const front = await visit("/")
        assert.equal(front.status, 200, String(front.body))
        assert.equal(String(front.body), "Hello from Python\n")

        const big = await visit(`/big?n=${bigBytes}`)
        assert.equal(big.status, 200)
        assert.equal(sha256(big.body), sha256(pattern(bigBytes)))
        await agent.event("resumed", cutPlaces.length)
        assert.equal(agent.count("cut"), cutPlaces.length)
        assert.equal(agent.count("session"), 1, "the session outlived its links")

        const sent = pattern(echoBytes)
        const echo = await visit("/echo", sent)
        assert.equal(echo.status, 200)
        assert.equal(sha256(echo.body), sha256(sent))
        assert.equal(echo.trailers["x-sum"], sha256(sent))

        const events = await visit("/events?n=3&ms=100")
        assert.equal(events.headers["content-type"], "text/event-stream")
        assert.equal(String(events.body), [0, 1, 2].map((id) => `id: ${id}\ndata: event ${id}\n\n`).join(""))
        assert.ok(events.lastMs - events.firstMs >= 90, "events arrive when they happen, not at the end")
      } finally {
        await agent.stop()
      }
    })
  }
})

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly trailers: NodeJS.Dict<string>
  /** When the first and the last bytes of the body arrived. */
  readonly firstMs: number
  readonly lastMs: number
}

/** One request over a connection of its own; with a body, chunked and with its SHA-256 as trailer. */
async function exchange(port: number, host: string, path: string, body?: Buffer): Promise<Answer> {
  const signal = AbortSignal.timeout(deadlineMs)
  const method = body === undefined ? "GET" : "POST"
  const headers = { host, ...(body !== undefined && { trailer: "x-sum", te: "trailers", connection: "te" }) }
  const visitor = request({ host: "127.0.0.1", port, path, method, headers, agent: false, signal })
  if (body !== undefined) {
    visitor.addTrailers([["x-sum", sha256(body)]])
    visitor.write(body)
  }
  visitor.end()
  const [answer] = (await once(visitor, "response")) as [IncomingMessage]
  const chunks: Buffer[] = []
  let firstMs = Number.NaN
  let lastMs = Number.NaN
  for await (const chunk of answer) {
    lastMs = performance.now()
    if (chunks.length === 0) firstMs = lastMs
    chunks.push(chunk as Buffer)
  }
  const { statusCode: status = 0, headers: fields, trailers } = answer
  return { status, headers: fields, body: Buffer.concat(chunks), trailers, firstMs, lastMs }
}

/** What `GET /big` of the agent serves: the byte at place p is (q * q + (q >> 3)) mod 256, with q = p mod 65521. */
function pattern(bytes: number): Buffer {
  const period = Buffer.from(Uint8Array.from({ length: 65_521 }, (_, at) => at * at + (at >> 3)))
  return Buffer.alloc(bytes, period)
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex")
}
