/** A conversation with a 9P server in memory, message by message: what is sent is handled before the call returns. */

import assert from "node:assert/strict"
import { silentLog } from "../../src/base/log.ts"
import type { Log } from "../../src/base/log.ts"
import { decode, encode } from "../../src/ninep/codec.ts"
import { NinepConnection } from "../../src/ninep/connection.ts"
import { Frames } from "../../src/ninep/frames.ts"
import type { NinepLimits } from "../../src/ninep/limits.ts"
import { NOFID, NOTAG } from "../../src/ninep/message.ts"
import type { Answer, Dialect, Message, MessageName, MessageOf, Request } from "../../src/ninep/message.ts"
import type { NinepStep } from "../../src/ninep/step.ts"
import type { Tree } from "../../src/ninep/tree.ts"

export interface RawNinepOptions {
  readonly dialect?: Dialect
  readonly msize?: number
  readonly limits?: Partial<NinepLimits>
  readonly step?: NinepStep
  /** Neither Tversion nor Tattach. */
  readonly silent?: boolean
}

export class RawNinep {
  readonly connection: NinepConnection
  /** The bytes of each write call. */
  readonly writes: Uint8Array[] = []
  /** The bytes of each `send`. */
  readonly sent: Uint8Array[] = []
  readonly logged: string[] = []
  ended: string | undefined
  /** False: the output takes one write and then nothing, until `drain`. */
  isTaking = true
  dialect: Dialect
  readonly #frames: Frames
  readonly #answers: Answer[] = []

  constructor(tree: Tree, options: RawNinepOptions = {}) {
    const { dialect = "9P2000.L", msize = 65536, limits = {}, step } = options
    this.dialect = dialect
    this.#frames = new Frames(2 ** 21, (bytes, start, end) => {
      this.#answers.push(decode(bytes.slice(start, end), this.dialect, "R"))
    })
    let isLent = false
    const output = {
      write: (bytes: Uint8Array): boolean => {
        assert.equal(isLent, false, "a write before the last one was taken")
        this.writes.push(bytes.slice())
        this.#frames.push(bytes)
        isLent = !this.isTaking
        return this.isTaking
      },
    }
    this.drain = () => {
      isLent = false
      this.connection.drained()
    }
    const log = this.#log()
    this.connection = new NinepConnection({ tree, output, log, limits, ...(step === undefined ? {} : { step }) })
    this.connection.onEnd = (reason) => (this.ended = reason)
    if (options.silent === true) return
    const version = this.ask({ type: "Tversion", tag: NOTAG, msize, version: dialect })
    assert.equal(version.type, "Rversion")
    this.ask({ type: "Tattach", tag: 1, fid: 0, afid: NOFID, uname: "glenda", aname: "", nUname: 1000 })
  }

  /** What the output held is gone. */
  readonly drain: () => void

  send(...messages: Request[]): void {
    this.sendBytes(Buffer.concat(messages.map((message) => encode(message, this.dialect))))
  }

  /** As Node's sockets hand it on: in memory that is used again afterwards. */
  sendBytes(bytes: Uint8Array): void {
    this.sent.push(bytes)
    const copy = new Uint8Array(bytes)
    this.connection.receive(copy)
    copy.fill(0xee)
  }

  /** The answers since the last time. */
  take(): Answer[] {
    return this.#answers.splice(0)
  }

  /** Sends one request and returns its answer, which must be the only one. */
  ask(message: Request): Answer {
    this.send(message)
    const answers = this.take()
    assert.equal(answers.length, 1, `${message.type} is answered once, not by ${JSON.stringify(answers)}`)
    const answer = answers[0] as Answer
    assert.equal(answer.tag, message.tag)
    return answer
  }

  /** As `ask`, and the answer must be this one. */
  expect<Name extends MessageName>(name: Name, message: Request): MessageOf<Name> {
    return answerOf(name, this.ask(message))
  }

  /** The number of the error, or 0 when it was answered otherwise. */
  errno(message: Request): number {
    const answer = this.ask(message)
    if (answer.type === "Rlerror") return answer.ecode
    return answer.type === "Rerror" ? (answer.errno ?? -1) : 0
  }

  /** Walks from the root to `path` and, with `flags` of Tlopen, opens it. */
  open(fid: number, path: string, flags?: number): void {
    const wname = path.split("/").filter((name) => name !== "")
    const { wqid } = this.expect("Rwalk", { type: "Twalk", tag: 2, fid: 0, newfid: fid, wname })
    assert.equal(wqid.length, wname.length, `${path} is not there`)
    if (flags === undefined) return
    if (this.dialect === "9P2000.L") this.expect("Rlopen", { type: "Tlopen", tag: 2, fid, flags })
    else this.expect("Ropen", { type: "Topen", tag: 2, fid, mode: flags })
  }

  #log(): Log {
    const note = (event: string, fields = {}) => void this.logged.push(`${event} ${JSON.stringify(fields)}`)
    return { ...silentLog, warn: note, error: note }
  }
}

export function answerOf<Name extends MessageName>(name: Name, answer: Message | undefined): MessageOf<Name> {
  assert.equal(answer?.type, name, JSON.stringify(answer))
  return answer as MessageOf<Name>
}
