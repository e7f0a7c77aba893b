/** A host of a tab's application for tests: the build folder with a server worker of the test's own, on loopback. */

import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { extname, join } from "node:path"
import type { TestContext } from "node:test"
import { fileURLToPath } from "node:url"
import { bundleTabRuntime } from "../../scripts/tab-runtime.mjs"
import type { RuntimeFiles } from "../../src/web/tab/runtime-files.ts"
import { runtimePath } from "../../src/web/tab/runtime-files.ts"

export interface TabSite {
  readonly origin: string
  /** Effects of the application by their id, see test/browser/workers. */
  readonly effects: Map<string, number>
  /** A page of the application that runs the script and reports what it gives: for pages that no debugger is attached to. */
  script(run: string): { readonly url: string; readonly report: Promise<unknown> }
  /** Paths that the host was asked for. */
  readonly asked: string[]
  /** Replaces a file, and with it the version. */
  change(path: string, text: string): void
  /** What runtime.json says besides. */
  announce(more: Partial<RuntimeFiles>): void
  /** Nothing is reachable any more. */
  stop(): Promise<void>
}

const types: { readonly [end: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".wasm": "application/wasm",
}

export async function tabSite(t: TestContext): Promise<TabSite> {
  const folder = mkdtempSync(join(tmpdir(), "rdv-tab-site-"))
  const worker = fileURLToPath(new URL("../browser/workers/tab-test-worker.ts", import.meta.url))
  bundleTabRuntime({ target: folder, worker, workerMain: worker })
  const parts = JSON.parse(readFileSync(join(folder, "runtime.json"), "utf8")) as Omit<RuntimeFiles, "version" | "app">
  const changed = new Map<string, string>([["/app.js", "export default {}"]])
  let more: Partial<RuntimeFiles> = {}
  const runtime = (): string => {
    const version = createHash("sha256")
      .update(JSON.stringify([...changed, more]))
      .digest("hex")
      .slice(0, 8)
    return JSON.stringify({ ...parts, ...more, version, app: "/app.js", files: [...parts.files, "/app.js"] })
  }
  const effects = new Map<string, number>()
  const asked: string[] = []
  const reports = new Map<string, (value: unknown) => void>()
  let lastReport = 0
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://x")
    asked.push(`${request.method} ${pathname}`)
    if (pathname === "/.rdv/effects" && request.method === "POST") {
      const id = searchParams.get("id") ?? ""
      effects.set(id, (effects.get(id) ?? 0) + 1)
      response.end("ok")
      return
    }
    if (pathname === "/.rdv/reports" && request.method === "POST") {
      void readAll(request).then((text) => {
        const { id, value } = JSON.parse(text) as { id: string; value: unknown }
        reports.get(id)?.(value)
        response.end("ok")
      })
      return
    }
    if (pathname === "/favicon.ico") {
      response.writeHead(204).end()
      return
    }
    const path = pathname === "/" ? "/index.html" : pathname
    try {
      const content = path === runtimePath ? runtime() : (changed.get(path) ?? readFileSync(join(folder, path)))
      response.setHeader("content-type", types[extname(path)] ?? "application/octet-stream")
      response.setHeader(
        "content-security-policy",
        // The pages of `script` have theirs inside.
        "default-src 'self'; img-src 'self' data:; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; frame-ancestors 'none'",
      )
      response.end(content)
    } catch {
      response.writeHead(404).end("no such file")
    }
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  t.after(async () => {
    await stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin,
    script(run) {
      const id = String(++lastReport)
      const report = new Promise<unknown>((resolve) => reports.set(id, resolve))
      return { url: `${origin}/script?id=${id}&run=${encodeURIComponent(run)}`, report }
    },
    effects,
    asked,
    change: (path, text) => {
      if (path === "/rdv-sw.js") writeFileSync(join(folder, path), readFileSync(join(folder, path), "utf8") + text)
      changed.set(path === "/rdv-sw.js" ? "/sw-note" : path, text)
    },
    announce: (facts) => {
      more = facts
    },
    stop,
  }
}

async function readAll(request: IncomingMessage): Promise<string> {
  let text = ""
  for await (const chunk of request) text += String(chunk)
  return text
}
