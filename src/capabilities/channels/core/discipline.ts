/** How a channel gives messages to receivers: one way for unicast, another for multicast. */

import type { RdvError } from "../../../base/error.ts"
import type { Message, Parcel, Waiter } from "./message.ts"
import type { Reader } from "./reader.ts"
import type { ChannelSettings } from "./settings.ts"

export interface Discipline {
  /** Takes a message in; it is given out, buffered, or waits. */
  offer(message: Message): void
  /** True when nobody has it and its sender still waits: it is gone then. */
  withdraw(message: Message): boolean
  receive(waiter: Waiter): void
  join(reader: Reader): void
  /** Behind the vanishing of what it held and waited for. */
  leave(reader: Reader): void
  /** A receiver that comes now would get a message at once. */
  canReceive(reader: Reader | undefined): boolean
  /** The next message that a receiver would get. */
  head(): Message | undefined
  /** Bytes that this reader could get at once; at least one message is counted, and no more than `most` need be. */
  waitingBytes(reader: Reader, most: number): number
  /** Limits have changed. */
  reconfigured(): void
  /** Senders that wait are told; what is in the buffer stays, and what has no sender. */
  refuseSenders(error: RdvError): void
  /** Receivers that wait are told. */
  refuseReceivers(error: RdvError): void
  /** Everything that nobody holds is dropped; senders that wait are told. For the end of the channel, or of this discipline. */
  clear(error: RdvError): void
  /** Nothing is left, and nothing can come back. */
  readonly isEmpty: boolean
  readonly waitingSenders: number
  readonly waitingReceivers: number
  status(): DisciplineStatus
}

export interface DisciplineStatus {
  /** Messages with a place in the buffer that nobody holds. */
  readonly buffered: number
  readonly bufferedBytes: number
  readonly waitingSenders: number
  readonly waitingReceivers: number
  /** When the oldest of those who wait began to; a clock's time. */
  readonly oldest: number | undefined
}

/** What a discipline asks of its channel. */
export interface Desk {
  readonly settings: ChannelSettings
  /** Why nothing is given out any more: the channel was removed. */
  readonly removal: RdvError | undefined
  /** Starts the lease of a parcel, where there is one. */
  lease(parcel: Parcel): void
  /** The message is over, for the counters: bytes are free again. */
  forget(message: Message): void
  /** A proof. */
  delivered(parcel: Parcel): void
  redelivered(): void
  /** True when the message has found another place: the dead-letter channel. */
  buryElsewhere(message: Message, reason: string): boolean
  /** There may be nothing left of a closed channel. */
  drained(): void
}
