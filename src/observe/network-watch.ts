/**
 * Notices that the machine is on another network, or has slept, long before a dead link would tell: by its addresses,
 * which are looked at every second because no portable event says that they changed, and by a clock that jumped.
 */

import { networkInterfaces } from "node:os"
import type { Clock, Timer } from "../base/clock.ts"

export interface NetworkWatchOptions {
  readonly clock: Clock
  /** An address came or went, or the process stood still. A false alarm should cost little. */
  readonly onChange: (reason: string) => void
  /** The machine's addresses. Default: what the operating system says. */
  readonly addresses?: () => readonly string[]
}

/** Watches until the returned function is called. */
export function watchNetwork(options: NetworkWatchOptions): () => void {
  const { clock, onChange, addresses = machineAddresses } = options
  let known = new Set(addresses())
  let lookedAt = clock.wall()
  let timer: Timer
  const look = () => {
    const now = clock.wall()
    const stoodStillMs = now - lookedAt - everyMs
    lookedAt = now
    const present = new Set(addresses())
    const lost = [...known].find((address) => !present.has(address))
    const found = [...present].find((address) => !known.has(address))
    known = present
    timer = clock.after(everyMs, look)
    if (lost !== undefined) onChange(`the address ${lost} is gone`)
    else if (found !== undefined) onChange(`there is a new address, ${found}`)
    else if (stoodStillMs > standstillMs) onChange(`the machine slept for ${Math.round(stoodStillMs / 1000)} s`)
  }
  timer = clock.after(everyMs, look)
  return () => timer.cancel()
}

/**
 * What can lead to other machines. Link-local addresses cannot, and containers make and drop them all the time; an
 * interface without a cable keeps no other ones.
 */
export function machineAddresses(): string[] {
  const addresses: string[] = []
  for (const [name, entries] of Object.entries(networkInterfaces())) {
    for (const { address, internal } of entries ?? []) {
      if (!internal && !/^(fe[89ab]|169\.254\.)/i.test(address)) addresses.push(`${address} of ${name}`)
    }
  }
  return addresses
}

/** Some tens of microseconds a second. */
const everyMs = 1_000
/** The wall clock goes on while a machine sleeps or a process is frozen; a busy process is never so late. */
const standstillMs = 5_000
