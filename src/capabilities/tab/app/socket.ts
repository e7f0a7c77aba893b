/** A WebSocket at the server's side, whatever carried it: a page of the own browser, or a visitor of the public URL. */

export interface TabSocket {
  /** Resolves when there is room for more: who awaits it never fills memory. Rejects `closed`. */
  send(message: string | Uint8Array): Promise<void>
  /** Messages in order; ends when the other side closed. */
  readonly messages: AsyncIterable<string | Uint8Array>
  /** Code and reason of RFC 6455 section 7.4. Default 1000. */
  close(code?: number, reason?: string): void
  /** Resolves when it is over, by whomever. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
}
