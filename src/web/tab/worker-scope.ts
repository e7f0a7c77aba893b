/** What the service worker uses of its global scope: the compiler's own words for it exclude those for pages. */

export interface ExtendableEvent extends Event {
  waitUntil(work: Promise<unknown>): void
}

export interface FetchEvent extends ExtendableEvent {
  readonly request: Request
  respondWith(response: Promise<Response>): void
}

export interface ScopeMessageEvent extends MessageEvent {
  readonly source: (WindowClient & MessageEventSource) | null
  waitUntil(work: Promise<unknown>): void
}

export interface WindowClient {
  readonly id: string
  readonly type: string
  postMessage(message: unknown, transfer?: Transferable[]): void
}

export interface Clients {
  get(id: string): Promise<WindowClient | undefined>
  matchAll(options: {
    readonly type: "window"
    readonly includeUncontrolled: boolean
  }): Promise<readonly WindowClient[]>
  claim(): Promise<void>
}

export interface ServiceWorkerScope {
  readonly clients: Clients
  readonly location: Location
  skipWaiting(): Promise<void>
  addEventListener(kind: "install" | "activate", listener: (event: ExtendableEvent) => void): void
  addEventListener(kind: "fetch", listener: (event: FetchEvent) => void): void
  addEventListener(kind: "message", listener: (event: ScopeMessageEvent) => void): void
}
