/** Published applications under `rdv relay --tls dev`: their host names are one label deeper than a wildcard reaches. */

import assert from "node:assert/strict"
import { once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import * as tls from "node:tls"
import { runCommand, startRelayCommand, temporaryFolder } from "../kit/command.ts"
import { RawClient } from "../kit/raw-http.ts"

test("a published application is served under TLS to whoever trusts the relay's own authority", async () => {
  using folder = temporaryFolder()
  const domain = "dev.localhost"
  const started = await startRelayCommand(["--open", "--tls", "dev", "--domain", domain], { data: folder.path })
  await using relay = started.relay
  const ca = join(folder.path, "tls", domain, "ca.pem")
  const app = join(folder.path, "app.ts")
  writeFileSync(app, `export default { fetch: () => new Response("hello") }\n`)
  const published = await runCommand(
    ["tab", "publish", app, "--name", "chat", "--relay", started.address, "--ca", ca, "--json"],
    { data: folder.path },
  )
  assert.equal(published.code, 0, published.stderr)
  const { url } = JSON.parse(published.stdout) as { url: string }
  assert.equal(url, `https://app.chat.${domain}:${started.port}/`)

  const host = new URL(url).hostname
  const socket = tls.connect({ port: started.port, host: "127.0.0.1", ca: readFileSync(ca), servername: host })
  await once(socket, "secureConnect")
  assert.equal(socket.authorized, true)
  const client = new RawClient(socket)
  void client.send(`GET /app.js HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`)
  assert.equal((await client.answer()).status, 200)
  socket.destroy()
  assert.equal(relay.stderr.includes("internal"), false)
})
