/**
 * What a session asks of a transport: a pipe, and to know whether it detects changed bytes. Every transport implements it
 * and passes `test/suites/link-suite.ts`.
 */

import type { Pipe, PipeSink } from "../base/pipe.ts"

/** The handshake hands a link over to its session by a second `attach`. */
export type LinkSink = PipeSink

export interface Link extends Pipe {
  /**
   * True when the transport itself detects changed bytes (TLS, kernel-local pipes). Where it does not, sessions add
   * checksums (docs/protocol.md, "Checks").
   */
  readonly protected: boolean
}
