/** What a session counted: the figures of `rdv status`. */

import type { SessionState } from "./session-options.ts"

export interface SessionCounts {
  readonly links: number
  readonly resumes: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly retransmittedBytes: number
  readonly streamsOpened: number
  readonly streamsAccepted: number
}

export interface SessionStatus extends SessionCounts {
  readonly id: string
  readonly state: SessionState
  /** The transport's name, `none` while suspended. */
  readonly link: string
  readonly peer: string
  readonly rttMs: number
  readonly streams: number
  readonly unacknowledgedBytes: number
  readonly flightLimitBytes: number
  readonly windowGrantedBytes: number
}

export class SessionStats {
  links = 0
  resumes = 0
  bytesIn = 0
  bytesOut = 0
  retransmittedBytes = 0
  streamsOpened = 0
  streamsAccepted = 0

  read(): SessionCounts {
    const { links, resumes, bytesIn, bytesOut, retransmittedBytes, streamsOpened, streamsAccepted } = this
    return { links, resumes, bytesIn, bytesOut, retransmittedBytes, streamsOpened, streamsAccepted }
  }
}
