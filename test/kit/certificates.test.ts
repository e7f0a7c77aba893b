import assert from "node:assert/strict"
import { X509Certificate } from "node:crypto"
import { test } from "node:test"
import { makeCertificate } from "./certificates.ts"

test("a certificate is signed by its authority and names the host", () => {
  const made = makeCertificate(["example.test", "127.0.0.2"])
  const cert = new X509Certificate(made.cert)
  assert.ok(cert.verify(new X509Certificate(made.ca).publicKey))
  assert.equal(cert.checkHost("example.test"), "example.test")
  assert.equal(cert.checkIP("127.0.0.2"), "127.0.0.2")
  assert.equal(cert.checkHost("other.test"), undefined)
  assert.equal(cert.fingerprint256.replaceAll(":", "").toLowerCase(), made.sha256)
})
