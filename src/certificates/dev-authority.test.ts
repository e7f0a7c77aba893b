import assert from "node:assert/strict"
import { X509Certificate } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import * as tls from "node:tls"
import { devCertificate } from "./dev-authority.ts"
import { makeServerCertificate } from "./certificate.ts"
import type { Certified } from "./certificate.ts"

const folder = mkdtempSync(join(tmpdir(), "rdv-authority-"))
after(() => rmSync(folder, { recursive: true, force: true }))

const now = new Date()
const options = { folder, domain: "example.test", hosts: ["192.0.2.7", "2001:db8::1"], now }

test("a client that trusts the authority takes the certificate for the domain, names below it and addresses", async () => {
  const made = devCertificate(options)
  for (const name of ["example.test", "blog.example.test", "localhost", "127.0.0.1", "192.0.2.7", "2001:db8::1"]) {
    assert.equal(await verdict(made, readFileSync(made.caFile, "utf8"), name), "trusted", name)
  }
  assert.match(await verdict(made, readFileSync(made.caFile, "utf8"), "a.b.example.test"), /does not match/)
})

test("a name two labels below the domain gets a certificate of its own, made once; others get none", async () => {
  const { caFile, forName } = devCertificate(options)
  const ca = readFileSync(caFile, "utf8")
  const made = forName("app.chat.example.test") as Certified
  assert.equal(await verdict(made, ca, "app.chat.example.test"), "trusted")
  assert.match(await verdict(made, ca, "app.other.example.test"), /does not match/)
  assert.equal(forName("APP.chat.example.test"), made)
  for (const other of [
    "",
    "example.test",
    "chat.example.test",
    "a.b.c.example.test",
    "app.x.test",
    "a.*.example.test",
  ]) {
    assert.equal(forName(other), undefined, other)
  }
})

test("the authority can vouch for no other domain", async () => {
  const { caFile } = devCertificate(options)
  const authority = { cert: readFileSync(caFile, "utf8"), key: readFileSync(join(folder, "ca.key"), "utf8") }
  const until = new Date(now.getTime() + 86_400_000)
  const forged = makeServerCertificate({ title: "x", names: ["bank.test"], from: new Date(0), until }, authority)
  assert.match(await verdict(forged, authority.cert, "bank.test"), /permitted subtree violation|excluded/)
})

test("the same certificate is used again until it runs out or lacks a name", () => {
  const first = devCertificate(options)
  assert.equal(devCertificate(options).sha256, first.sha256)
  const more = devCertificate({ ...options, hosts: [...options.hosts, "192.0.2.8"] })
  assert.notEqual(more.sha256, first.sha256)
  const later = devCertificate({ ...options, now: new Date(now.getTime() + 380 * 86_400_000) })
  assert.notEqual(later.sha256, more.sha256)
  assert.ok(new X509Certificate(later.cert).verify(new X509Certificate(readFileSync(first.caFile)).publicKey))
})

test("the keys belong to their owner alone", { skip: process.platform === "win32" }, () => {
  devCertificate(options)
  for (const file of ["ca.key", "server.key"]) assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600)
})

/** What Node's own verification says about a server that shows the certificate. */
async function verdict(shown: Certified, ca: string, name: string): Promise<string> {
  const server = createServer({ cert: shown.cert, key: shown.key })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const isAddress = /^[\d.]+$|:/.test(name)
  const socket = tls.connect({
    port,
    host: "127.0.0.1",
    ca,
    ...(isAddress
      ? {
          checkServerIdentity: (_host: string, certificate: tls.PeerCertificate) =>
            tls.checkServerIdentity(name, certificate),
        }
      : { servername: name }),
  })
  const result = await new Promise<string>((resolve) => {
    socket.once("secureConnect", () => resolve("trusted"))
    socket.once("error", (error) => resolve(error.message))
  })
  socket.destroy()
  await new Promise((resolve) => server.close(resolve))
  return result
}
