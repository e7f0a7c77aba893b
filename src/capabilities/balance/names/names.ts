/**
 * What the host names of targets lead to, now. A name is asked for in the background, again and again, so that no connection
 * waits for a resolver and a change is followed; all of its addresses are used. When an answer fails to come, the last good
 * one goes on: a resolver that is down takes no target with it. Addresses and the question are shared by all targets of a
 * host; turns and failures are each target's own, because two ports of a host have nothing to do with each other.
 */

import { lookup } from "node:dns"
import { isIP } from "node:net"
import type { Clock, Timer } from "../../../base/clock.ts"
import type { Settings } from "../config/settings.ts"
import { Turns } from "./turns.ts"

/** One target's view of a host. */
export interface Name {
  /** Settles when the name has been answered for the first time, well or badly; never rejects. */
  ready(): Promise<void>
  /** The address for the next dial: all take turns, those that failed lately come last. Undefined: there is none. */
  next(): string | undefined
  /** A dial to this address failed. When that holds for all of them, the name is asked for again soon. */
  failed(address: string): void
  /** What is known now. A dial may try so many. */
  readonly addresses: readonly string[]
  /** Why the last question had no good answer; addresses may be there all the same, from an earlier one. */
  readonly error: string | undefined
  close(): void
}

export interface NamesOptions {
  readonly clock: Clock
  /** Time between an answer and the next question. */
  readonly resolveMs: () => number
  /** Addresses that stand in for lookups, hosts in lower case; a change of it counts from the next use on. */
  readonly resolve: () => Settings["resolve"]
  /** All addresses of a name; rejects when there is none. Default: the system's resolver. */
  readonly ask?: (host: string) => Promise<readonly string[]>
}

export class Names {
  readonly #options: Required<NamesOptions>
  readonly #hosts = new Map<string, Host>()
  #stopped = false

  constructor(options: NamesOptions) {
    this.#options = { ask: askSystem, ...options }
  }

  /** An address in the place of a name costs nothing: no question, no timer. */
  open(host: string): Name {
    const { clock } = this.#options
    if (isIP(host) !== 0) return new Literal(host)
    const key = host.toLowerCase()
    let shared = this.#hosts.get(key)
    if (shared === undefined) {
      shared = new Host(key, this.#options)
      if (this.#stopped) shared.stop()
      else this.#hosts.set(key, shared)
    }
    shared.users++
    return new HostName(shared, new Turns(clock), (unused) => {
      if (this.#hosts.get(key) === unused) this.#hosts.delete(key)
    })
  }

  /** Asks nothing any more; what is known stays, and nobody waits. */
  stop(): void {
    this.#stopped = true
    for (const host of this.#hosts.values()) host.stop()
    this.#hosts.clear()
  }
}

/** After a failure the next question comes sooner than usual at first: twice this, four times … */
const firstRetryMs = 1000
/** Two questions for one name are at least so far apart, however many dials fail. */
const leastGapMs = 1000
/** More addresses than this are not looked at; the largest pools behind one name have some hundred. */
const mostAddresses = 256

/** A name with its last good answer and its question. */
class Host {
  users = 0
  addresses: readonly string[] = []
  error: string | undefined
  readonly #host: string
  readonly #options: Required<NamesOptions>
  /** The stand-in that `addresses` come from; compared by identity. */
  #standIn: readonly string[] | undefined
  #answered = false
  #waiting: (() => void)[] = []
  #asking = false
  #askedAt = 0
  #failures = 0
  #timer: Timer | undefined
  #stopped = false

  constructor(host: string, options: Required<NamesOptions>) {
    this.#host = host
    this.#options = options
    this.follow()
    if (this.#standIn === undefined) this.#ask()
  }

  ready(): Promise<void> {
    this.follow()
    if (this.#answered || this.#stopped) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Takes over what the settings say of this name by now. */
  follow(): void {
    const all = this.#options.resolve()
    const standIn = Object.hasOwn(all, this.#host) ? all[this.#host] : undefined
    if (standIn === this.#standIn) return
    this.#standIn = standIn
    if (standIn !== undefined) {
      this.#timer?.cancel()
      if (standIn.length === 0) this.addresses = []
      this.#answer(standIn)
      return
    }
    // The stand-in was no answer that could be kept.
    this.addresses = []
    this.error = undefined
    this.#answered = false
    this.#ask()
  }

  /** None of the addresses works: it may have moved. */
  askAgain(): void {
    if (this.#standIn !== undefined || this.#asking || this.#stopped) return
    const wait = this.#askedAt + leastGapMs - this.#options.clock.now()
    if (wait <= 0) this.#ask()
    else this.#askIn(wait)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#release()
  }

  #askIn(ms: number): void {
    this.#timer?.cancel()
    this.#timer = this.#options.clock.after(ms, () => this.#ask())
  }

  #ask(): void {
    // A question holds a thread of the process until the system gives up; libuv lets names have half of the threads.
    if (this.#asking || this.#stopped) return
    this.#timer?.cancel()
    this.#asking = true
    this.#askedAt = this.#options.clock.now()
    this.#options.ask(this.#host).then(
      (found) => this.#hear(() => this.#answer(found)),
      (thrown: unknown) => this.#hear(() => this.#fail(reasonOf(thrown))),
    )
  }

  #hear(take: () => void): void {
    this.#asking = false
    // In the meantime the settings said something else.
    if (this.#stopped || this.#standIn !== undefined) return
    take()
    const usual = this.#options.resolveMs()
    this.#askIn(this.#failures === 0 ? usual : Math.min(usual, firstRetryMs * 2 ** Math.min(this.#failures - 1, 20)))
  }

  #answer(found: readonly string[]): void {
    const addresses = [...new Set(found)].slice(0, mostAddresses)
    if (addresses.length === 0) {
      this.#fail("its name has no address")
      return
    }
    this.#failures = 0
    this.error = undefined
    if (!sameSet(addresses, this.addresses)) this.addresses = addresses
    this.#release()
  }

  #fail(error: string): void {
    this.#failures++
    this.error = error
    this.#release()
  }

  #release(): void {
    this.#answered = true
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

class HostName implements Name {
  readonly #host: Host
  readonly #turns: Turns
  readonly #onUnused: (host: Host) => void
  #closed = false

  constructor(host: Host, turns: Turns, onUnused: (host: Host) => void) {
    this.#host = host
    this.#turns = turns
    this.#onUnused = onUnused
  }

  ready(): Promise<void> {
    return this.#host.ready()
  }

  next(): string | undefined {
    this.#host.follow()
    return this.#turns.next(this.#host.addresses)
  }

  failed(address: string): void {
    this.#turns.failed(address, this.#host.addresses)
    if (this.#turns.allFailed(this.#host.addresses)) this.#host.askAgain()
  }

  get addresses(): readonly string[] {
    this.#host.follow()
    return this.#host.addresses
  }

  get error(): string | undefined {
    return this.#host.error
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (--this.#host.users > 0) return
    this.#host.stop()
    this.#onUnused(this.#host)
  }
}

class Literal implements Name {
  readonly addresses: readonly string[]
  readonly error = undefined

  constructor(address: string) {
    this.addresses = [address]
  }

  ready(): Promise<void> {
    return Promise.resolve()
  }

  next(): string | undefined {
    return this.addresses[0]
  }

  failed(): void {}

  close(): void {}
}

/** Resolvers rotate their answers; the order alone is no news. */
function sameSet(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((one) => others.includes(one))
}

function reasonOf(thrown: unknown): string {
  const { code, message } = thrown as Partial<NodeJS.ErrnoException>
  if (code === "ENOTFOUND") return "its name does not resolve (ENOTFOUND)"
  if (code === "ENODATA") return "its name has no address (ENODATA)"
  if (code === "EAI_AGAIN") return "no resolver could be asked for its name (EAI_AGAIN)"
  return `its name cannot be resolved (${code ?? message ?? String(thrown)})`
}

function askSystem(host: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    lookup(host, { all: true, order: "verbatim" }, (error, addresses) => {
      if (error === null) resolve(addresses.map(({ address }) => address))
      else reject(error)
    })
  })
}
