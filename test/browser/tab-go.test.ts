/** The example in Go, built as its document says, in real browsers; and what a program in Go does in a tab's worker. */

import assert from "node:assert/strict"
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { extname, join } from "node:path"
import { before, describe, test } from "node:test"
import type { TestContext } from "node:test"
import { fileURLToPath } from "node:url"
import { bundleTabRuntime } from "../../scripts/tab-runtime.mjs"
import { Browser, chromium } from "../kit/chromium.ts"
import { runCommand, temporaryFolder } from "../kit/command.ts"
import { Firefox, firefox } from "../kit/firefox.ts"
import { buildGo, copyGoScript, exerciseProgram, noGo } from "../kit/go-program.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

interface AnyPage {
  evaluate<Value>(script: string): Promise<Value>
  until(what: string, script: string, ms?: number): Promise<unknown>
}

interface Kind {
  readonly name: string
  readonly command: string | undefined
  open(t: TestContext): Promise<{ open(url: string): Promise<AnyPage> }>
}

const kinds: readonly Kind[] = [
  {
    name: "Chromium",
    command: chromium,
    async open(t) {
      const browser = new Browser(chromium as string)
      t.after(() => browser.close())
      return { open: (url) => browser.open(url, { width: 600 }) }
    },
  },
  {
    name: "Firefox",
    command: firefox,
    async open(t) {
      const browser = await Firefox.start(firefox as string)
      t.after(() => browser.close())
      return { open: (url) => browser.open(url, { width: 600 }) }
    },
  },
]

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".wasm": "application/wasm",
}

/** A build behind a host of files, with the policy that a relay gives published applications. */
async function host(t: TestContext, folder: string): Promise<string> {
  const built = await runCommand(["tab", "build", "app.ts", "-o", "site"], { data: folder })
  assert.equal(built.code, 0, built.stderr)
  const server = createServer(({ url = "/" }, response) => {
    const path = join(folder, "site", new URL(url, "http://x").pathname.replace(/\/$/, "/index.html"))
    response.setHeader("content-type", types[extname(path)] ?? "text/plain")
    response.setHeader("content-security-policy", "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'")
    if (existsSync(path)) response.end(readFileSync(path))
    else response.writeHead(404).end()
  }).listen(0, "127.0.0.1")
  await new Promise((done) => server.once("listening", done))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://localhost:${(server.address() as AddressInfo).port}/`
}

for (const { name, command, open } of kinds) {
  const skip = noGo === false ? (command === undefined ? `no ${name} here` : false) : noGo
  describe(`a program in Go in ${name}`, { skip, timeout: 300_000 }, () => {
    before(() => void bundleTabRuntime())

    test("the example serves its pages, keeps notes, refuses doubles, and is there after a reload", async (t) => {
      using folder = temporaryFolder()
      for (const file of ["app.ts", "main.go", "go.mod"]) {
        cpSync(join(root, "examples/go-notes", file), join(folder.path, file))
      }
      copyGoScript(join(folder.path, "wasm_exec.js"))
      buildGo("examples/go-notes", ".", join(folder.path, "notes.wasm"))
      const url = await host(t, folder.path)
      const browser = await open(t)
      const page = await browser.open(url)
      await page.until("TypeScript's page", `document.title === "Go in a tab" && window.rdv`, 30_000)
      const events = await page.evaluate<string>(`(async () => {
        window.events = (await rdv.fetch("/notes/events")).body.getReader()
        return new TextDecoder().decode((await events.read()).value)
      })()`)
      assert.equal(events, "data: look\n\n")
      const add = (text: string) =>
        page.evaluate<number>(
          `fetch("/notes/add", { method: "POST", body: new URLSearchParams({ text: ${JSON.stringify(text)} }) }).then(({ status }) => status)`,
        )
      assert.deepEqual([await add("<buy> milk"), await add("<buy> milk")], [200, 409])
      assert.equal(
        await page.evaluate(`events.read().then(({ value }) => new TextDecoder().decode(value))`),
        "data: look\n\n",
      )
      await page.evaluate(`setTimeout(() => (location.href = "/notes"), 0)`)
      await page.until(
        "the note",
        `document.title === "Notes" && document.querySelector("li")?.textContent.startsWith("<buy> milk")`,
      )
      await page.evaluate(`setTimeout(() => location.reload(), 0)`)
      await page.until("the same after a reload", `document.querySelectorAll("li").length === 1 && window.rdv`)
    })

    test("bodies stream, memory stays flat, who leaves ends the handler, transactions are real", async (t) => {
      using folder = temporaryFolder()
      mkdirSync(folder.path, { recursive: true })
      writeFileSync(join(folder.path, "exercise.wasm"), exerciseProgram())
      copyGoScript(join(folder.path, "wasm_exec.js"))
      writeFileSync(
        join(folder.path, "app.ts"),
        `import "./wasm_exec.js"
        import program from "./exercise.wasm"
        import { goApp } from "rdv/tab/go"
        const go = goApp(program)
        const each = async (workers, ms, work) => {
          const [from, end] = [performance.now(), performance.now() + ms]
          let count = 0
          await Promise.all(Array.from({ length: workers }, async () => {
            while (performance.now() < end) await work(count++)
          }))
          return Math.round((count * 1000) / (performance.now() - from))
        }
        const ask = (env, path, init) => go.fetch(new Request("http://localhost/go/" + path, init), env)
        async function figures(env) {
          const hello = await each(32, 500, async () => (await ask(env, "hello")).text())
          const inserts = await each(64, 500, async (count) => (await ask(env, "insert?text=" + Math.random())).text())
          const from = performance.now()
          await (await ask(env, "bytes?n=100000000")).body.pipeTo(new WritableStream())
          const downMB = Math.round(100_000 / (performance.now() - from))
          return Response.json({ hello, inserts, downMB })
        }
        const page = new Blob(["<!doctype html><title>exercise</title>"], { type: "text/html" })
        export default {
          start: (env) => go.start(env),
          fetch: (request, env) => {
            const { pathname } = new URL(request.url)
            if (pathname === "/") return new Response(page)
            if (pathname === "/figures") return figures(env)
            return pathname === "/status" ? Response.json(go.status) : go.fetch(request, env)
          },
        }`,
      )
      const url = await host(t, folder.path)
      const page = await (await open(t)).open(url)
      await page.until("the application", `document.title === "exercise" && window.rdv`, 30_000)
      const run = <Value>(script: string) => page.evaluate<Value>(`(async () => { ${script} })()`)
      const text = (path: string) => run<string>(`return (await rdv.fetch(${JSON.stringify(path)})).text()`)
      assert.deepEqual(
        await run(`const answer = await rdv.fetch("/go/bytes?n=134217728")
          const reader = answer.body.getReader()
          let length = 0
          for (;;) {
            const { done, value } = await reader.read()
            if (done) return [answer.status, length]
            length += value.length
          }`),
        [200, 128 << 20],
      )
      const sum = await run<string[]>(`const body = new Uint8Array(20_000_000).fill(7)
        const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", body))
        const answer = await rdv.fetch("/go/hash", { method: "POST", body })
        return [await answer.text(), "20000000 " + [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("")]`)
      assert.equal(sum[0], sum[1])
      await run(`const reader = (await rdv.fetch("/go/bytes?n=1000000000")).body.getReader()
        await reader.read()
        await reader.cancel()`)
      await page.until(
        "the handler has stopped",
        `fetch("/status").then((s) => s.json()).then(({ running }) => running === 0)`,
      )
      assert.equal(await text("/go/ended"), "2")
      const { memoryBytes } = await run<{ memoryBytes: number }>(`return (await fetch("/status")).json()`)
      assert.ok(memoryBytes < 40e6, `${memoryBytes} bytes`)

      assert.equal(await text("/go/rollback?text=gone"), "1 0")
      assert.equal(await run(`return (await rdv.fetch("/go/pair?first=a&second=a")).status`), 409)
      assert.equal(await text("/go/count"), "0")
      const kinds = JSON.parse(await text("/go/kinds")) as Record<string, unknown>
      assert.deepEqual([kinds["whole"], kinds["made"], kinds["form"]], [true, true, "realtextblob"])
      // The first time compiles.
      const figures = await run<Record<string, number>>(
        `await fetch("/figures"); return (await fetch("/figures")).json()`,
      )
      t.diagnostic(`in the worker: ${JSON.stringify(figures)}, ${(memoryBytes / 1e6).toFixed(1)} MB`)
    })
  })
}
