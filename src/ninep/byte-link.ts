/**
 * What a 9P conversation runs over: a TCP or unix socket, a stream of a session, a pair in memory. Callbacks are set by
 * whoever takes the link, before anything else is done with it.
 */

export interface ByteLink {
  /**
   * Sends the bytes, all of them. True: they are gone, and the caller may use their memory again. False: the link looks at
   * them until `onDrain`, and nothing more shall be written before. Ignored once the link is closed. No callback is called from within.
   */
  write(bytes: Uint8Array): boolean
  /** Bytes came in; they are valid during the call alone. */
  onData: ((bytes: Uint8Array) => void) | undefined
  /** After `write` answered false: there is room again. */
  onDrain: (() => void) | undefined
  /** It is over, whoever ended it; exactly once, and nothing is called afterwards. An error tells what went wrong. */
  onClose: ((error: Error | undefined) => void) | undefined
  /** Stop and restart `onData`, so that the peer feels it. */
  pause(): void
  resume(): void
  /** Sends what was written, then ends both directions. `onClose` follows. */
  close(): void
}
