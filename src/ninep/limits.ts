/** What one 9P connection may take of the server. Each limit tells what happens behind it. */

export interface NinepLimits {
  /** The largest message that is granted: 1 MiB of data and its head. Clients that ask for more are given this. */
  readonly messageBytes: number
  /** Fids of one connection; the next walk or attach is refused with `EMFILE`. */
  readonly fids: number
  /** Unanswered requests of one connection; the next one is refused with `ENOBUFS`. Tflush and Tclunk always pass. */
  readonly requests: number
  /** Bytes of requests that wait until their fid is opened; the next one is refused with `ENOBUFS`. */
  readonly queuedBytes: number
  /** Answers that a slow client does not take; above it none of its requests is read until it has taken all. */
  readonly waitingBytes: number
  /** The same where requests that were read before are answered later: above it the connection ends. */
  readonly mostWaitingBytes: number
  /** UTF-8 bytes of one name; a longer one is refused with `ENAMETOOLONG`. */
  readonly nameBytes: number
}

export const defaultNinepLimits: NinepLimits = {
  messageBytes: 1024 * 1024 + 24,
  fids: 4096,
  requests: 4096,
  queuedBytes: 4 * 1024 * 1024,
  waitingBytes: 1024 * 1024,
  mostWaitingBytes: 64 * 1024 * 1024,
  nameBytes: 255,
}

/** The smallest message size that is granted; Linux refuses smaller ones as well. */
export const leastMessageBytes = 4096
