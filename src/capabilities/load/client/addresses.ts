/**
 * Where a target's name leads. It is resolved once for all connections, as load testers do, because otherwise the
 * resolver is what is measured; the addresses take turns. One that takes no connection is passed over from then on, as
 * long as another one does. With `eachTime` every connection resolves anew.
 */

import { lookup as systemLookup } from "node:dns"
import { isIP } from "node:net"

/** `getaddrinfo` as `dns.lookup` gives it, all addresses in its order. */
export type Lookup = (host: string, done: (error: Error | null, addresses: readonly string[]) => void) => void

export interface AddressesOptions {
  readonly eachTime?: boolean
  readonly lookup?: Lookup
}

type Waiter = (error: Error | undefined, route: Route | undefined) => void

/** The addresses of one connection, in the order in which to try them. */
export class Route {
  readonly #list: readonly string[]
  readonly #bad: Set<string>
  readonly #start: number
  #tried = 0

  constructor(list: readonly string[], bad: Set<string>, start: number) {
    this.#list = list
    this.#bad = bad
    this.#start = start
  }

  /** Undefined when all were tried. */
  next(): string | undefined {
    if (this.#tried === this.#list.length) return undefined
    return this.#list[(this.#start + this.#tried++) % this.#list.length]
  }

  /** This one takes no connection. */
  failed(address: string): void {
    this.#bad.add(address)
    if (this.#bad.size >= this.#list.length) this.#bad.clear()
  }
}

export class Addresses {
  readonly #host: string
  readonly #eachTime: boolean
  readonly #lookup: Lookup
  readonly #bad: Set<string> = new Set()
  #known: readonly string[] | undefined
  #turn = 0
  #waiters: Waiter[] = []

  constructor(host: string, options: AddressesOptions = {}) {
    this.#host = host
    this.#eachTime = options.eachTime ?? false
    this.#lookup = options.lookup ?? lookupAll
    if (isIP(host) !== 0) this.#known = [host]
  }

  /** Calls back once, at once when the addresses are known. A failure is not remembered. */
  route(done: Waiter): void {
    if (this.#known !== undefined) {
      done(undefined, this.#next(this.#known))
      return
    }
    // One look-up serves all that wait for it, unless each is to have its own.
    this.#waiters.push(done)
    if (this.#waiters.length > 1 && !this.#eachTime) return
    this.#lookup(this.#host, (error, found) => {
      const list = [...new Set(found)]
      const usable = error === null && list.length > 0
      const waiters = this.#eachTime ? this.#waiters.splice(0, 1) : this.#waiters.splice(0)
      if (usable && !this.#eachTime) this.#known = list
      for (const waiter of waiters) {
        if (usable) waiter(undefined, this.#next(list))
        else waiter(error ?? Object.assign(new Error("no address"), { code: "ENODATA" }), undefined)
      }
    })
  }

  #next(list: readonly string[]): Route {
    let start = this.#turn++ % list.length
    for (let passed = 0; passed < list.length && this.#bad.has(list[start] as string); passed++) {
      start = (start + 1) % list.length
    }
    return new Route(list, this.#bad, start)
  }
}

const lookupAll: Lookup = (host, done) => {
  systemLookup(host, { all: true, order: "verbatim" }, (error, addresses) => {
    // On an error Node gives nothing at all.
    done(error, error === null ? addresses.map(({ address }) => address) : [])
  })
}
