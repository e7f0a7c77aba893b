/** A 9P server somewhere, as whoever has to reach it again and again sees it. */

import type { ByteLink } from "../../../ninep/byte-link.ts"

export interface UpstreamLink extends ByteLink {
  /** Ends it at once; what was written may be lost. `onClose` follows. */
  abort(): void
}

export interface Upstream {
  /** Its address, for people. */
  readonly name: string
  /**
   * Makes the link of one conversation, paused: `resume` lets bytes come. Rejects with `RdvError`; where its code is one of
   * `finalCodes`, nobody tries again.
   */
  connect(signal: AbortSignal): Promise<UpstreamLink>
  /** Whether a link may be dead without telling: then silence is looked into. Streams of sessions never are. */
  readonly mayGoSilent: boolean
}
