/** What the engine tells as it happens; the recorder listens. Times in ms since the start, `target` is an index. */

import type { LoadError } from "../client/client.ts"

export interface Recording {
  /** The plan started a message: it is sent, queued or dropped. */
  planned(): void
  dropped(): void
  neverSent(count: number): void
  /** How late the generator itself was for a planned instant, ms. */
  late(ms: number): void
  connected(target: number, ms: number): void
  sent(target: number, bytes: number): void
  answered(target: number, plannedMs: number, sentMs: number, doneMs: number, bytes: number): void
  /** Answered, but not as expected. */
  wrong(target: number, bytes: number, error: LoadError): void
  /** The connection broke under the message, or could not be made for it. */
  broke(target: number, error: LoadError): void
  timedOut(target: number): void
  /** Sent, and given up because the run is over. */
  cut(target: number): void
}
