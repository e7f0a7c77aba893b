/** A server's requests without an answer. The hot path makes one object for each, and this is it. */

import { emptyBytes } from "../base/bytes.ts"
import { NinepError } from "./errno.ts"
import type { Fid } from "./fids.ts"
import type { ReadRequest, WriteRequest } from "./tree.ts"

/** The connection, as its requests know it. */
export interface CallOwner {
  answerRead(call: ReadCall, bytes: Uint8Array): void
  answerWrite(call: WriteCall): void
  failCall(call: Call, error: unknown): void
}

export class Call {
  readonly tag: number
  /** Answered, withdrawn, or its connection is gone: what is answered now is dropped. */
  isOver = false
  /** Tags of the Tflush that wait for it, in order. */
  flushes: number[] | undefined = undefined

  constructor(tag: number) {
    this.tag = tag
  }
}

/** A Tflush that waits until its target is withdrawn. */
export class FlushCall extends Call {
  readonly target: Call

  constructor(tag: number, target: Call) {
    super(tag)
    this.target = target
  }
}

/** Something that is done to a node, by a promise. */
export class OperationCall extends Call {
  /** The fid that it changes or makes. */
  readonly held: Fid | undefined

  constructor(tag: number, held: Fid | undefined) {
    super(tag)
    this.held = held
  }
}

/** A message that waits until its fid is free. */
export class QueuedCall extends Call {
  readonly message: Uint8Array

  constructor(tag: number, message: Uint8Array) {
    super(tag)
    this.message = message
  }
}

/** A read or write that its handle has been given. */
export abstract class DataCall extends Call {
  readonly fid: Fid
  readonly offset: number
  onFlush: (() => void | Promise<void>) | undefined = undefined
  /** `onFlush` was called, and this is what it returned. */
  withdrawal: Promise<void> | undefined = undefined
  protected readonly owner: CallOwner

  constructor(owner: CallOwner, tag: number, fid: Fid, offset: number) {
    super(tag)
    this.owner = owner
    this.fid = fid
    this.offset = offset
  }

  fail(error: NinepError): void {
    this.owner.failCall(this, error)
  }
}

export class ReadCall extends DataCall implements ReadRequest {
  readonly count: number
  readonly full: boolean

  constructor(owner: CallOwner, tag: number, fid: Fid, offset: number, count: number, full: boolean) {
    super(owner, tag, fid, offset)
    this.count = count
    this.full = full
  }

  answer(bytes: Uint8Array): void {
    this.owner.answerRead(this, bytes)
  }
}

export class WriteCall extends DataCall implements WriteRequest {
  readonly count: number
  bytes: Uint8Array

  constructor(owner: CallOwner, tag: number, fid: Fid, offset: number, bytes: Uint8Array) {
    super(owner, tag, fid, offset)
    this.count = bytes.length
    this.bytes = bytes
  }

  answer(): void {
    this.owner.answerWrite(this)
  }

  /** Linux 6.12 repeats a write that was answered with EAGAIN for ever, and no signal ends it. */
  override fail(error: NinepError): void {
    super.fail(error.errno === "EAGAIN" ? new NinepError("EBUSY", error.message) : error)
  }

  /** The received memory is used again now. */
  release(): void {
    this.bytes = emptyBytes
  }
}
