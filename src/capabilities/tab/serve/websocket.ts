/** (being written) */

import type { Stream } from "../../../base/stream.ts"
import type { RequestHead } from "../../../http1/head.ts"
import type { Visitor } from "../app/visitor.ts"
import { plainAnswer } from "./plain-answer.ts"
import type { TabServer } from "./tab-server.ts"

export interface WebSocketCall {
  readonly stream: Stream
  readonly server: TabServer
  readonly visitor: Visitor
  readonly head: RequestHead
  readonly request: Request
  readonly controller: AbortController
  /** Answers as an ordinary exchange. */
  readonly refuse: (response: Response) => void
}

export function serveWebSocket(call: WebSocketCall): void {
  call.refuse(plainAnswer(501, "not yet"))
}
