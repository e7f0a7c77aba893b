/** A page with a worker that runs the tests of engines in a browser: its server, and what to evaluate in it. */

import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import type { Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const root = join(fileURLToPath(import.meta.url), "..", "..", "..")

const page = `<!doctype html><title>engine</title><script>
function task(name, value) {
  const worker = new Worker("/worker.js", { type: "module" })
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.error === undefined ? resolve(data.value) : reject(new Error(data.error)))
    worker.onerror = ({ message }) => reject(new Error(message))
    worker.postMessage({ task: name, value })
  }).finally(() => ["hold", "write"].includes(name) || worker.terminate())
}
</script>`

/** Serves it on loopback; `foreign` is the database that other software has made. */
export async function serveEnginePage(foreign: Uint8Array): Promise<{ readonly server: Server; readonly url: string }> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ["test/browser/tab-engine-worker.mjs"],
    bundle: true,
    format: "esm",
    write: false,
    logLevel: "silent",
  })
  const wasm = readFileSync(join(root, "node_modules/@sqlite.org/sqlite-wasm/dist/sqlite3.wasm"))
  const files: { readonly [path: string]: readonly [string, string | Uint8Array] } = {
    "/": ["text/html", page],
    "/worker.js": ["text/javascript", outputFiles[0]?.contents ?? ""],
    "/sqlite3.wasm": ["application/wasm", wasm],
    "/foreign.db": ["application/octet-stream", foreign],
  }
  const server = createServer((request, response) => {
    const [type, bytes] = files[request.url ?? ""] ?? ["text/plain", undefined]
    response.writeHead(bytes === undefined ? 404 : 200, { "content-type": type }).end(bytes)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}
