/** Whom a trusted proxy speaks for on one of its connections: each request may be another visitor's. */

import { headerValues } from "../../base/header-fields.ts"
import { clientAddress } from "./client-address.ts"
import type { TrustedProxies } from "./trusted-proxies.ts"

/** Counts what runs for each address. */
export interface AddressCounts {
  /** False when the address has as much as it may. */
  enter(address: string): boolean
  leave(address: string): void
}

export class ProxiedClient {
  readonly #proxy: string
  readonly #trusted: TrustedProxies
  readonly #counts: AddressCounts
  /** Of the latest request: proxies often send several of one visitor in a row. */
  #chain: string | undefined
  #address: string
  /** Who is counted for the present request. */
  #entered: string | undefined

  /** `proxy` is the connection's peer: the client where the proxy names none, or nobody that can be read. */
  constructor(proxy: string, trusted: TrustedProxies, counts: AddressCounts) {
    this.#proxy = proxy
    this.#trusted = trusted
    this.#counts = counts
    this.#address = proxy
  }

  /** Whose request this is. */
  of(headers: readonly string[]): string {
    const values = headerValues(headers, "x-forwarded-for")
    const chain = values.length > 1 ? values.join(",") : values[0]
    if (chain !== this.#chain) {
      this.#chain = chain
      this.#address = (chain === undefined ? undefined : clientAddress(chain, this.#trusted)) ?? this.#proxy
    }
    return this.#address
  }

  /** Of the latest request that was looked at. */
  get address(): string {
    return this.#address
  }

  /** The request begins. False when its client has as many under way as it may; then it is not counted. */
  enter(headers: readonly string[]): boolean {
    const address = this.of(headers)
    if (!this.#counts.enter(address)) return false
    this.#entered = address
    return true
  }

  /** The request is over, if there was one. */
  leave(): void {
    const address = this.#entered
    if (address === undefined) return
    this.#entered = undefined
    this.#counts.leave(address)
  }
}
