/**
 * Two members prove to each other that they have the code, before a chunk goes from one to the other. Whoever dials proves
 * it first, so that a stranger who tries addresses learns neither who is there nor in which swarm; each proof is an
 * HMAC-SHA-256 under `SwarmKeys.peer` over what both have said, with a label for each role.
 *
 *     dialler                                         acceptor
 *     0xB1 | version | swarm 6 | nonce 16 | id   ──▶
 *                                                ◀──  version | nonce 16
 *     proof 32                                   ──▶
 *                                                ◀──  id | proof 32
 *
 * An id is its length and so many characters of base64url. What follows is a stream path. It protects against strangers,
 * not against somebody on the way who changes bytes: chunks are sealed and checked against the table, whoever brings them.
 */

import { hmac } from "@noble/hashes/hmac.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { systemClock } from "../../../base/clock.ts"
import type { Clock } from "../../../base/clock.ts"
import { concat, equalConstantTime, randomBytes } from "../../../base/bytes.ts"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Pipe } from "../../../base/pipe.ts"
import { PipeTalk } from "./pipe-talk.ts"

/** The first byte of a connection between members. */
export const directGreetingByte = 0xb1

const directVersion = 1
const swarmChars = 6
const nonceBytes = 16
const proofBytes = 32
const mostIdChars = 64
const defaultDeadlineMs = 5_000
const defaultMost = 64

/** This member in one swarm. */
export interface DirectSelf {
  /** As it is called to the relay: 1-64 characters of base64url. */
  readonly member: string
  /** `SwarmKeys.peer`. */
  readonly key: Uint8Array
}

export interface DirectPath {
  readonly swarm: string
  /** The other one, proven. */
  readonly member: string
  readonly pipe: Pipe
}

export interface DialHandshakeOptions extends DirectSelf {
  /** Six digits. */
  readonly swarm: string
  /** Whom the relay named; another member at that address is refused. */
  readonly expected?: string
  readonly clock?: Clock
  /** For the whole handshake, ms. Default 5000. */
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
}

/**
 * The side that dialled. Rejects `unauthorized` (it does not have the code, or is somebody else), `link_lost` (we do not have
 * it, and were refused without a word), `version`, `protocol`, `timeout`; then the pipe is over.
 */
export async function dialHandshake(pipe: Pipe, options: DialHandshakeOptions): Promise<DirectPath> {
  const { swarm, member, key, expected } = options
  const talk = new PipeTalk(pipe, {
    clock: options.clock ?? systemClock,
    deadlineMs: options.deadlineMs ?? defaultDeadlineMs,
    signal: options.signal,
  })
  try {
    const hello = helloOf(swarm, member)
    talk.say(hello)
    const [version] = await talk.read(1)
    if (version !== directVersion) {
      const isOther = version !== undefined && version > 0 && version < 32
      throw new RdvError(isOther ? "version" : "protocol", `${pipe.peer} is no member that speaks this version`)
    }
    const nonce = await talk.read(nonceBytes)
    const said = concat([hello, Uint8Array.of(version), nonce])
    talk.say(proofOf(key, "dialler", said))
    const id = await readId(talk)
    const theirs = await talk.read(proofBytes)
    if (!equalConstantTime(theirs, proofOf(key, "acceptor", concat([said, id])))) throw withoutCode(pipe)
    const other = idText(id)
    if (other === member) throw new RdvError("unauthorized", `${pipe.peer} is this member itself`)
    if (expected !== undefined && other !== expected) {
      throw new RdvError("unauthorized", `${pipe.peer} is another member than the one that was looked for`)
    }
    return { swarm, member: other, pipe: talk.handOver() }
  } catch (error) {
    const reason = asRdvError(error)
    talk.fail(reason)
    throw reason
  }
}

export interface DirectDoorOptions {
  /** Who this machine is in that swarm; undefined when it takes no part. */
  readonly find: (swarm: string) => DirectSelf | undefined
  readonly onPath: (path: DirectPath) => void
  /** Hears of those who were refused; strangers cause it. */
  readonly onRefused?: (error: RdvError, peer: string) => void
  readonly clock?: Clock
  /** For the whole handshake, ms. Default 5000. */
  readonly deadlineMs?: number
  /** Handshakes at once; the oldest gives way. Default 64. */
  readonly most?: number
}

/** The side that is dialled. */
export class DirectDoor {
  readonly #options: DirectDoorOptions
  readonly #clock: Clock
  readonly #deadlineMs: number
  readonly #most: number
  /** Oldest first. */
  readonly #talks: Set<PipeTalk> = new Set()

  constructor(options: DirectDoorOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#deadlineMs = options.deadlineMs ?? defaultDeadlineMs
    this.#most = options.most ?? defaultMost
  }

  /** Handshakes under way. */
  get pending(): number {
    return this.#talks.size
  }

  /** The pipe is the door's until `onPath` has it. */
  take(pipe: Pipe): void {
    for (const oldest of this.#talks) {
      if (this.#talks.size < this.#most) break
      this.#talks.delete(oldest)
      oldest.fail(new RdvError("limit", "Too many members come at once"))
    }
    const talk = new PipeTalk(pipe, { clock: this.#clock, deadlineMs: this.#deadlineMs })
    this.#talks.add(talk)
    void this.#shake(talk, pipe).then(
      (path) => {
        this.#talks.delete(talk)
        this.#options.onPath(path)
      },
      (error: unknown) => {
        this.#talks.delete(talk)
        const reason = asRdvError(error)
        talk.fail(reason)
        this.#options.onRefused?.(reason, pipe.peer)
      },
    )
  }

  /** Ends those that are not through. */
  close(): void {
    for (const talk of this.#talks) talk.fail(new RdvError("closed"))
  }

  async #shake(talk: PipeTalk, pipe: Pipe): Promise<DirectPath> {
    const begin = await talk.read(2)
    if (begin[0] !== directGreetingByte) throw new RdvError("protocol", `${pipe.peer} is no member of a swarm`)
    if (begin[1] !== directVersion) {
      talk.say(Uint8Array.of(directVersion))
      throw new RdvError("version", `${pipe.peer} speaks another version`)
    }
    const names = await talk.read(swarmChars + nonceBytes)
    const id = await readId(talk)
    const nonce = randomBytes(nonceBytes)
    const answer = concat([Uint8Array.of(directVersion), nonce])
    talk.say(answer)
    const proof = await talk.read(proofBytes)
    const swarm = asciiText(names.subarray(0, swarmChars))
    const self = this.#options.find(swarm)
    const said = concat([begin, names, id, answer])
    // With or without such a swarm the same is done, and the same is answered.
    const isTrue = equalConstantTime(proof, proofOf(self?.key ?? noKey, "dialler", said))
    if (self === undefined || !isTrue) throw withoutCode(pipe)
    const member = idText(id)
    if (member === self.member) throw new RdvError("unauthorized", `${pipe.peer} is this member itself`)
    const own = idBytes(self.member)
    talk.say(concat([own, proofOf(self.key, "acceptor", concat([said, own]))]))
    return { swarm, member, pipe: talk.handOver() }
  }
}

const noKey = new Uint8Array(32)

function helloOf(swarm: string, member: string): Uint8Array {
  if (!/^[0-9]{6}$/.test(swarm)) throw new RdvError("usage", `The swarm "${swarm}" is not six digits`)
  const begin = Uint8Array.of(directGreetingByte, directVersion)
  return concat([begin, asciiBytes(swarm), randomBytes(nonceBytes), idBytes(member)])
}

function proofOf(key: Uint8Array, role: "dialler" | "acceptor", said: Uint8Array): Uint8Array {
  return hmac(sha256, key, concat([asciiBytes(`rdv/share/1 direct ${role}\0`), said]))
}

/** With its length in front, as it stood on the wire. */
async function readId(talk: PipeTalk): Promise<Uint8Array> {
  const head = await talk.read(1)
  const length = head[0] as number
  if (length === 0 || length > mostIdChars) throw new RdvError("protocol", `A member's name has ${length} characters`)
  const id = concat([head, await talk.read(length)])
  if (!/^[\w-]+$/.test(idText(id))) throw new RdvError("protocol", "A member's name has characters that none has")
  return id
}

function idBytes(member: string): Uint8Array {
  if (!/^[\w-]{1,64}$/.test(member)) throw new RdvError("usage", `"${member}" cannot be the name of a member`)
  return concat([Uint8Array.of(member.length), asciiBytes(member)])
}

/** `id` has its length in front. */
function idText(id: Uint8Array): string {
  return asciiText(id.subarray(1))
}

function asciiText(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}

function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

function withoutCode(pipe: Pipe): RdvError {
  return new RdvError("unauthorized", `${pipe.peer} does not have the code`, { origin: "remote" })
}
