/** A page with a worker that runs the tests of engines in a browser: its server, and what to evaluate in it. */

import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { WebSocketServer } from "ws"
import type { WebSocket } from "ws"

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

export interface EnginePage {
  readonly url: string
  /** Of the next page that writes: what it found, and each id that it promises afterwards. */
  writer(onId: (id: number) => void): Promise<{ readonly integrity: string; readonly ids: readonly number[] }>
  close(): void
}

/** Serves it on loopback; `foreign` is the database that other software has made. */
export async function serveEnginePage(foreign: Uint8Array): Promise<EnginePage> {
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
    if (request.url === "/favicon.ico") {
      response.writeHead(204).end()
      return
    }
    const [type, bytes] = files[request.url ?? ""] ?? ["text/plain", undefined]
    response.writeHead(bytes === undefined ? 404 : 200, { "content-type": type }).end(bytes)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const sockets = new WebSocketServer({ server })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async writer(onId) {
      const [socket] = (await once(sockets, "connection")) as [WebSocket]
      return await new Promise((resolve) => {
        socket.once("message", (first: Buffer) => {
          socket.on("message", (id: Buffer) => onId(Number(id.toString())))
          resolve(JSON.parse(first.toString()) as { integrity: string; ids: number[] })
        })
      })
    },
    close() {
      sockets.close()
      for (const socket of sockets.clients) socket.terminate()
      server.close()
      server.closeAllConnections()
    },
  }
}
