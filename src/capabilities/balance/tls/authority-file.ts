/**
 * Authorities (PEM) that somebody may exchange while we run. It looks every few seconds, as for certificates: files that
 * have just changed are read at the next look only, when they are whole. What cannot be used costs a line in the log, and
 * those that we have stay.
 */

import { X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import type { Clock, Timer } from "../../../base/clock.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import { fileState } from "../../../config/file-state.ts"

export interface AuthorityFileOptions {
  readonly file: string
  readonly clock: Clock
  readonly log: Log
  /** There are others now. */
  readonly onChanged: () => void
}

export class AuthorityFile {
  readonly #options: AuthorityFileOptions
  #pem: string
  #read: string | undefined
  #seen: string | undefined
  #timer: Timer | undefined
  #stopped = false

  /** Watches until `stop`. Throws `usage` when the file cannot be used. */
  constructor(options: AuthorityFileOptions) {
    this.#options = options
    this.#pem = readAuthorities(options.file)
    this.#lookLater()
  }

  get pem(): string {
    return this.#pem
  }

  /** Reads the file now. */
  reload(): void {
    const { file, log, onChanged } = this.#options
    let pem: string
    try {
      pem = readAuthorities(file)
    } catch (thrown) {
      const { message, mend } = asRdvError(thrown)
      log.warn("authorities.refused", { file, reason: mend === undefined ? message : `${message}: ${mend}` })
      return
    }
    if (pem === this.#pem) return
    this.#pem = pem
    log.info("authorities.changed", { file })
    onChanged()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #lookLater(): void {
    this.#timer = this.#options.clock.after(lookMs, () => {
      void fileState(this.#options.file).then((state) => {
        if (this.#stopped) return
        const isSettled = state === this.#seen
        this.#seen = state
        if (isSettled && state !== this.#read) {
          this.#read = state
          this.reload()
        }
        this.#lookLater()
      })
    })
  }
}

const lookMs = 5_000

function readAuthorities(file: string): string {
  let pem: string
  try {
    pem = readFileSync(file, "utf8")
  } catch (error) {
    const missing = (error as { code?: string }).code === "ENOENT"
    const mend = missing ? "check the path" : "check who may read it"
    throw new RdvError("usage", `The file ${file} ${missing ? "does not exist" : "cannot be read"}`, {
      mend,
      cause: error,
    })
  }
  const each = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  try {
    if (each.length === 0) throw new Error("no certificate")
    for (const one of each) void new X509Certificate(one)
  } catch (error) {
    throw new RdvError("usage", `${file} holds no certificates of authorities that can be read`, {
      mend: "give them in PEM, one behind the other",
      cause: error,
    })
  }
  return pem
}
