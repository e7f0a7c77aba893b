/** `/.rdv/tab.json`: where this application may go public. */

export interface TabPlace {
  /** As it is published; null: only a relay that is open to all takes it. */
  readonly app: string | null
  /** `wss://host:port`; null: nowhere. */
  readonly relay: string | null
  readonly domain: string | null
  /** `stun:host:port`, where peers learn their own addresses. */
  readonly stun?: string
}

/** A static host may have none: then there is nowhere to go public. */
export async function readPlace(): Promise<TabPlace> {
  const nowhere: TabPlace = { app: null, relay: null, domain: null }
  try {
    const answer = await fetch("/.rdv/tab.json")
    return answer.ok ? { ...nowhere, ...((await answer.json()) as TabPlace) } : nowhere
  } catch {
    return nowhere
  }
}
