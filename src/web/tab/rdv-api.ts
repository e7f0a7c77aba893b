/** `window.rdv`: what a page of an application asks its server beside requests. */

import { directFetch } from "./direct-fetch.ts"
import type { ControlCalls, ControlName, TabStatus } from "./messages.ts"
import type { PageAgent } from "./page-agent.ts"
import type { PageState } from "./page-state.ts"
import { troubleError } from "./trouble-error.ts"

/** Its promises reject with errors that have `code` and perhaps `mend`, as `Trouble` has. */
export interface RdvApi {
  /** Resolves when a server answers. */
  readonly ready: Promise<void>
  /** How far this page has come. The document tells of changes by the event `rdv-state`. */
  readonly state: PageState
  status(): Promise<TabStatus>
  /** Only while the browser handles a user's act (a click): otherwise `forbidden`. */
  goPublic(wish: { readonly name: string }): Promise<{ readonly url: string }>
  goPrivate(): Promise<void>
  exportDatabase(): Promise<Blob>
  /** Replaces everything that the server has. As `goPublic`, only in answer to a user's act. */
  importDatabase(file: Blob): Promise<void>
  /** As the browser's own; requests to this origin go to the server directly, for large bodies. */
  readonly fetch: typeof fetch
  /** As the browser's own, which it also replaces; for this origin it goes to the server. */
  readonly WebSocket: typeof WebSocket
}

export function rdvApi(agent: PageAgent, socket: typeof WebSocket, state: () => PageState): RdvApi {
  async function call<Name extends ControlName>(
    name: Name,
    given: ControlCalls[Name]["given"],
  ): Promise<ControlCalls[Name]["answer"]> {
    const port = await agent.link.get(waitMs)
    if (port === undefined)
      throw troubleError({ code: "unreachable", text: "No tab of this application serves right now" })
    return port.call(name, given)
  }
  return {
    ready: agent.ready,
    get state() {
      return state()
    },
    status: () => call("status", null),
    async goPublic({ name }) {
      mustBeActive("go public")
      return call("go-public", { name })
    },
    async goPrivate() {
      await call("go-private", null)
    },
    exportDatabase: () => call("export-database", null),
    async importDatabase(file) {
      mustBeActive("replace the database")
      await call("import-database", file)
    },
    fetch: directFetch(agent.link),
    WebSocket: socket,
  }
}

/** Nothing of this kind happens because a page was merely loaded. */
function mustBeActive(what: string): void {
  if (navigator.userActivation?.isActive === true) return
  throw troubleError({ code: "forbidden", text: `Only a user can ${what}`, mend: "call it when a button is clicked" })
}

const waitMs = 10_000
