/** What a way of sharing has to offer so that it can be measured, and what a measurement gives. */

import type { Children } from "../children.ts"

export interface Task {
  readonly clients: number
  /** What is shared, and its size. */
  readonly file: string
  readonly bytes: number
  /** Empty, and removed afterwards: everything that is received goes here. */
  readonly folder: string
  /** What sender and receivers may send, each, bytes/s. */
  readonly uplink?: number | undefined
  /** `bucket`: each program holds itself to its uplink; `namespaces`: the kernel holds hosts on a bridge to it. */
  readonly by?: "bucket" | "namespaces" | undefined
}

/** Seconds, CPU-seconds, bytes; copies are multiples of what is shared. */
export interface Taken {
  /** From starting the clients to the last one that has verified and stored everything. */
  readonly seconds: number
  /** With the start of the clients' processes, where `seconds` is without. */
  readonly "seconds with start"?: number
  readonly "server cpu": number
  readonly "client cpu": number
  /** The most private memory at a time, of all processes of that side together. */
  readonly "server memory": number
  readonly "client memory": number
  readonly "relay memory"?: number
  readonly "relay in"?: number
  readonly "relay out"?: number
  readonly "relay cpu per GB"?: number
  /** Of what the sender's network card has sent. */
  readonly "sender link"?: number
}

export interface Outcome {
  readonly taken: Taken
  /** Files to compare with what was shared. */
  readonly outputs: readonly string[]
}

export interface ShareSystem {
  readonly name: string
  readonly note: string
  /** Undefined: it can run. */
  readonly missing: () => string | undefined
  /** More clients than this take too long or too much memory. */
  readonly most?: number
  /** It can hold uplinks to a rate. */
  readonly isSwarm?: boolean
  /** By multicast, for which it needs hosts of a network. */
  readonly isCast?: boolean
  /** It comes from npm, with `--peers`. */
  readonly isFetched?: boolean
  /** Runs once; what it started has ended when this settles. */
  readonly run: (children: Children, task: Task) => Promise<Outcome>
}
