/** A throwaway authority and a server certificate for tests, made with the `openssl` command (ECDSA P-256). */

import { execFileSync } from "node:child_process"
import { createHash, X509Certificate } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface TestCertificate {
  /** The authority, PEM. */
  readonly ca: string
  /** The server's certificate, PEM. */
  readonly cert: string
  /** Its private key, PEM. */
  readonly key: string
  /** Of the server's certificate, 64 hexadecimal digits. */
  readonly sha256: string
}

/** Valid for a day, for the given names and addresses. Takes some tens of milliseconds. */
export function makeCertificate(names: readonly string[] = ["localhost", "127.0.0.1", "::1"]): TestCertificate {
  const folder = mkdtempSync(join(tmpdir(), "rdv-certificate-"))
  const at = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] })
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
  try {
    const list = names.map((name) => `${/^[\d.]+$|:/.test(name) ? "IP" : "DNS"}:${name}`).join(",")
    writeFileSync(at("extensions"), `subjectAltName=${list}\nextendedKeyUsage=serverAuth\n`)
    const authority = ["-keyout", at("ca.key"), "-out", at("ca.pem"), "-subj", "/CN=Rendezvous test authority"]
    openssl("req", "-x509", ...curve, ...authority, "-days", "1", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", ...curve, "-keyout", at("key.pem"), "-out", at("request.pem"), "-subj", `/CN=${names[0]}`)
    const signer = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-extfile", at("extensions")]
    openssl("x509", "-req", "-in", at("request.pem"), ...signer, "-days", "1", "-out", at("cert.pem"))
    const read = (name: string) => readFileSync(at(name), "utf8")
    const cert = read("cert.pem")
    const sha256 = createHash("sha256").update(new X509Certificate(cert).raw).digest("hex")
    return { ca: read("ca.pem"), cert, key: read("key.pem"), sha256 }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
