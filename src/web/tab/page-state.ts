/** How far a page has come with its server. */

import type { Trouble } from "./messages.ts"

export type PageState =
  | { readonly kind: "registering" }
  /** No server has answered yet; `isOurs`: the one that this page has started is loading. */
  | { readonly kind: "starting"; readonly isOurs: boolean }
  | { readonly kind: "ready" }
  /** `isFinal`: nothing happens any more without somebody's doing. */
  | { readonly kind: "trouble"; readonly why: TroubleKind; readonly trouble: Trouble; readonly isFinal: boolean }

/** What the boot page has words for; `text` of the trouble is then what the browser said. */
export type TroubleKind =
  /** Neither https nor localhost. */
  | "insecure"
  /** No service workers here: a private window, an old browser. */
  | "unsupported"
  /** The browser lets the site store nothing. */
  | "storage"
  /** The service worker and its files did not get here. */
  | "files"
  /** The worker's program did not get here. */
  | "program"
  /** What the server says itself. */
  | "server"
  /** The server runs, but this page does not come from it. */
  | "astray"

/** At the document, whenever `rdv.state` has changed. */
export const stateEvent = "rdv-state"
