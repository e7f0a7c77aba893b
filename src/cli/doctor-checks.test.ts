import assert from "node:assert/strict"
import type { lookup } from "node:dns/promises"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { test } from "node:test"
import { checkLocalhost, checkNode, checkProxy, checkTarget } from "./doctor-checks.ts"

test("an old Node fails", () => {
  assert.equal(checkNode("22.1.0").verdict, "fail")
  assert.equal(checkNode("24.0.0").verdict, "ok")
})

test("a proxy variable is worth a word, without what it holds, and not for this machine", () => {
  const env = { https_proxy: "http://user:secret@proxy.test:3128" }
  const finding = checkProxy(env, undefined, "example.test")
  assert.equal(finding.verdict, "warn")
  assert.ok(!JSON.stringify(finding).includes("secret"))
  assert.equal(checkProxy(env, undefined, "127.0.0.1").verdict, "ok")
  const chosen = checkProxy(env, new URL("http://user:secret@proxy.test:3128"), "example.test")
  assert.deepEqual([chosen.verdict, chosen.text], ["ok", "through proxy.test:3128"])
})

test("names below localhost are for this machine, or worth a word", async () => {
  const answering = (address: string) => (() => Promise.resolve({ address, family: 4 })) as unknown as typeof lookup
  assert.equal((await checkLocalhost(answering("127.0.0.1"))).verdict, "ok")
  assert.equal((await checkLocalhost(answering("::1"))).verdict, "ok")
  assert.equal((await checkLocalhost(answering("198.51.100.1"))).verdict, "warn")
  const failing = (() => Promise.reject(new Error("ENOTFOUND"))) as unknown as typeof lookup
  assert.equal((await checkLocalhost(failing)).verdict, "warn")
})

test("a target that takes connections and speaks something else is for rdv tcp", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => undefined)
    socket.resume()
    socket.end("SSH-2.0-test\r\n")
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const finding = await checkTarget(`127.0.0.1:${(server.address() as AddressInfo).port}`)
  await new Promise((resolve) => server.close(resolve))
  assert.equal(finding.verdict, "warn")
  assert.match(String(finding.mend), /use rdv tcp/)
})
