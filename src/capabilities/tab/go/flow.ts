/** What bytes come from and go to: a request at the program, or one that it sends. */

import { RdvError } from "../../../base/error.ts"
import type { TabEnv } from "../app/env.ts"
import type { Inlet } from "./inlet.ts"
import type { Outlet } from "./outlet.ts"

export interface Flow {
  /** That of the request; undefined: the program's own. */
  readonly env: TabEnv | undefined
  /** What Go reads. */
  readonly inlet: Inlet | undefined
  /** What Go writes. */
  readonly outlet: Outlet | undefined
  /** What Go writes will not be whole. */
  fail(error: RdvError): void
  /** Go has done with it. */
  close(): void
}

/** A request to a peer, or the content of a file. */
export class OwnFlow implements Flow {
  readonly env: undefined
  inlet: Inlet | undefined
  readonly outlet: Outlet | undefined
  readonly #stop = new AbortController()

  constructor(outlet?: Outlet) {
    this.outlet = outlet
  }

  /** Fires when Go has done with it. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  fail(error: RdvError): void {
    this.outlet?.fail(error)
  }

  close(): void {
    this.inlet?.cancel()
    this.outlet?.fail(new RdvError("cancelled", "The Go program gave it up"))
    this.#stop.abort()
  }
}
