/** An authority in a folder of its own, and certificates of servers and clients that it signs. */

import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"
import { makeAuthority, makeServerCertificate } from "../../src/certificates/certificate.ts"
import type { Certified } from "../../src/certificates/certificate.ts"

const dayMs = 86_400_000

export interface SecretFiles {
  readonly cert: string
  readonly key: string
}

export class TlsSecrets {
  readonly folder: string
  readonly #authority: Certified
  readonly #validity = { from: new Date(Date.now() - dayMs), until: new Date(Date.now() + 90 * dayMs) }

  /** The folder is removed at the test's end. */
  constructor(t: TestContext) {
    this.folder = mkdtempSync(join(tmpdir(), "rdv-tls-"))
    t.after(() => rmSync(this.folder, { recursive: true, force: true }))
    this.#authority = makeAuthority({ title: "test", domains: ["test", "localhost"], ...this.#validity })
    writeFileSync(this.at("ca.pem"), this.#authority.cert)
  }

  at(name: string): string {
    return join(this.folder, name)
  }

  /** PEM. */
  get ca(): string {
    return this.#authority.cert
  }

  get caFile(): string {
    return this.at("ca.pem")
  }

  /** Writes a new one over what is there. */
  server(file: string, names: readonly string[]): SecretFiles {
    const made = makeServerCertificate({ title: names[0] ?? "", names, ...this.#validity }, this.#authority)
    return this.#write(file, made)
  }

  /** For clients, or with RSA for a server; made with the `openssl` command. */
  signed(name: string, kind: "client" | "rsa server"): SecretFiles {
    const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] })
    const files = { cert: this.at(`${name}-${kind}.pem`), key: this.at(`${name}-${kind}.key`) }
    const [caKey, request, extensions] = [this.at("ca.key"), this.at("request"), this.at("extensions")]
    writeFileSync(caKey, this.#authority.key)
    const [keys, usage] =
      kind === "client"
        ? [["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "extendedKeyUsage=clientAuth\n"]
        : [["rsa:2048"], `extendedKeyUsage=serverAuth\nsubjectAltName=DNS:${name}\n`]
    writeFileSync(extensions, usage)
    openssl("req", "-newkey", ...keys, "-nodes", "-keyout", files.key, "-out", request, "-subj", `/CN=${name}`)
    const signer = ["-CA", this.caFile, "-CAkey", caKey, "-CAcreateserial", "-days", "1"]
    openssl("x509", "-req", "-in", request, ...signer, "-extfile", extensions, "-out", files.cert)
    return files
  }

  #write(file: string, { cert, key }: Certified): SecretFiles {
    const files = { cert: this.at(`${file}.pem`), key: this.at(`${file}.key`) }
    writeFileSync(files.cert, cert)
    writeFileSync(files.key, key)
    return files
  }
}
