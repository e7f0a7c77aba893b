/** What bounds the memory and the patience of one conversation through the proxy. */

export interface ProxyLimits {
  /** The largest message: what Linux can ask for, and the head of a Twrite. */
  readonly msize: number
  /** Requests without an answer; with so many, nothing more is read from the client. Blocked reads are requests too. */
  readonly requests: number
  /** The same in bytes: unanswered writes are kept to be sent again. */
  readonly requestBytes: number
  /** Fids of one client; each costs some hundred bytes, and one walk when the server is back. */
  readonly fids: number
  /** Answered writes of one file that only count when it is closed (`put`), kept until then. */
  readonly journalBytes: number
  /** Answers that the client does not take, before nothing more is read from upstream. */
  readonly answerBytes: number
  /** A server that owes something and says nothing for so long is asked; after as long again it is dead, ms. 0: never. */
  readonly silenceMs: number
  /** How long the server may be away before the client's connection ends, ms. 0: for ever. */
  readonly giveUpMs: number
}

export const defaultProxyLimits: ProxyLimits = {
  msize: 2 ** 20 + 24,
  requests: 16_384,
  requestBytes: 2 ** 25,
  fids: 65_536,
  journalBytes: 2 ** 22,
  answerBytes: 2 ** 18,
  silenceMs: 10_000,
  giveUpMs: 0,
}
