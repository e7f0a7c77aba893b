/**
 * A server's certificate with its key as they lie in files, looked at before any visitor sees them: what does not load or
 * does not belong together is refused in words for whoever wrote the files.
 */

import { createPrivateKey, X509Certificate } from "node:crypto"
import type { KeyObject } from "node:crypto"
import { readFileSync } from "node:fs"
import { createSecureContext } from "node:tls"
import { RdvError } from "../base/error.ts"
import type { Certified } from "./certificate.ts"

export interface PairFiles {
  /** PEM: the server's certificate first, then those between it and its authority. */
  readonly cert: string
  /** PEM, without a passphrase. */
  readonly key: string
}

export interface CertificatePair extends Certified {
  /** The last moment that clients take it. */
  readonly until: Date
  /** In hexadecimal. */
  readonly serial: string
}

/** Throws `usage` when a file cannot be read, holds something else, or the two do not belong together. */
export function readPair(files: PairFiles): CertificatePair {
  return checkPair({ cert: read(files.cert), key: read(files.key) }, files)
}

/** Throws `usage`. `files` is how errors call the two. */
export function checkPair({ cert, key }: Certified, files: PairFiles): CertificatePair {
  let parsed: X509Certificate
  try {
    parsed = new X509Certificate(cert)
  } catch (error) {
    throw wrong(`${files.cert} holds no certificate in PEM`, "give the whole chain, the server's own first", error)
  }
  let secret: KeyObject
  try {
    secret = createPrivateKey(key)
  } catch (error) {
    throw wrong(`${files.key} holds no private key that can be read`, "give it in PEM, without a passphrase", error)
  }
  if (!parsed.checkPrivateKey(secret)) {
    throw wrong(`The key in ${files.key} is not that of the certificate in ${files.cert}`, "give files of one renewal")
  }
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw wrong(`The certificate in ${files.cert} cannot be used: ${reason}`, "check the rest of the chain", error)
  }
  return { cert, key, until: parsed.validToDate, serial: parsed.serialNumber }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8")
  } catch (error) {
    const missing = (error as { code?: string }).code === "ENOENT"
    const mend = missing ? "check the path" : "check who may read it"
    throw wrong(`The file ${file} ${missing ? "does not exist" : "cannot be read"}`, mend, error)
  }
}

function wrong(what: string, mend: string, cause?: unknown): RdvError {
  return new RdvError("usage", what, { mend, ...(cause !== undefined && { cause }) })
}
