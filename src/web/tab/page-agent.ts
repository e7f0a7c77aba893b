/**
 * What each page of an application does for the server: registers the service worker, starts a candidate, gives out ports of
 * the server if it is this page's worker, and lets go of it before the browser puts the page to sleep.
 */

import { DirectLink } from "./direct-link.ts"
import type { Announcement, FromServiceWorker, FromWorker, ToServiceWorker } from "./messages.ts"
import { channelName, protocolVersion } from "./messages.ts"
import { NewVersions } from "./new-versions.ts"
import { OwnWorker } from "./own-worker.ts"
import type { PageState, TroubleKind } from "./page-state.ts"
import { serviceWorkerPath } from "./runtime-files.ts"

export interface PageAgentOptions {
  readonly onState: (state: PageState) => void
  /** What the worker's part for connections to peers says to the page's. */
  readonly onRtc: (value: unknown) => void
  /** This page's worker, which may have led, is no more. */
  readonly onWorkerGone: () => void
}

export class PageAgent {
  /** Resolves when a server answers. */
  readonly ready: Promise<void>
  readonly link: DirectLink
  readonly #options: PageAgentOptions
  readonly #worker: OwnWorker
  readonly #channel = new BroadcastChannel(channelName)
  readonly #versions: NewVersions
  readonly #isReady = Promise.withResolvers<void>()
  #registration: ServiceWorkerRegistration | undefined
  /** This page's worker has the lock, and cannot start. */
  #hasFailed = false

  constructor(options: PageAgentOptions) {
    this.#options = options
    this.ready = this.#isReady.promise
    this.link = new DirectLink({ introduce: (port) => this.#connect(port) })
    this.#worker = new OwnWorker({
      onMessage: (message) => this.#fromWorker(message),
      onGone: (epoch) => {
        options.onWorkerGone()
        if (epoch !== undefined) this.#announce({ kind: "gone", epoch })
      },
      onUnloaded: (error) => this.#fail("program", error),
    })
    this.#versions = new NewVersions({
      announce: (announcement) => this.#announce(announcement),
      tell: (message, ...transfer) => this.#tell(message, ...transfer),
    })
  }

  async start(): Promise<void> {
    const { onState } = this.#options
    if (!isSecureContext) {
      this.#fail("insecure")
      return
    }
    if ((navigator as { serviceWorker?: unknown }).serviceWorker === undefined || !("locks" in navigator)) {
      this.#fail("unsupported")
      return
    }
    onState({ kind: "registering" })
    this.#channel.onmessage = ({ data, origin }: MessageEvent<Announcement>) => {
      if (origin === location.origin) this.#hear(data)
    }
    navigator.serviceWorker.addEventListener("message", ({ data, origin, source }: MessageEvent<FromServiceWorker>) => {
      if (origin !== location.origin || !(source instanceof ServiceWorker) || data.kind !== "who-leads") return
      this.#introduce(source)
      this.#worker.watch()
    })
    navigator.serviceWorker.startMessages()
    this.#followLife()
    setInterval(() => this.#worker.watch(), watchMs)
    this.#worker.start()
    try {
      this.#registration = await register()
    } catch (error) {
      this.#fail(error instanceof DOMException && error.name === "SecurityError" ? "storage" : "files", error)
      return
    }
    this.#versions.follow(this.#registration)
    // Also when there is no server: the next version may start.
    void this.#versions.look()
    this.#introduce(this.#registration.active)
    while ((await this.link.get(60_000)) === undefined);
    onState({ kind: "ready" })
    this.#isReady.resolve()
  }

  /** To the worker's part for connections to peers, if this page's worker is the server. */
  toRtc(value: unknown, ...transfer: Transferable[]): void {
    this.#worker.post({ kind: "rtc", value }, ...transfer)
  }

  #restart(): void {
    this.#hasFailed = false
    this.#worker.end()
    this.#worker.start()
  }

  #fail(why: TroubleKind, error?: unknown): void {
    const text = error instanceof Error ? error.message : why
    this.#options.onState({ kind: "trouble", why, trouble: { code: "unreachable", text }, isFinal: true })
  }

  /** Browsers let a page sleep, or keep it for the way back, with its worker stopped and all that it holds held. */
  #followLife(): void {
    const sleep = () => this.#worker.end()
    const wake = () => {
      this.link.reset()
      this.#worker.start()
    }
    document.addEventListener("freeze", sleep)
    document.addEventListener("resume", wake)
    addEventListener("pagehide", sleep)
    addEventListener("pageshow", (event) => {
      if (event.persisted) wake()
    })
  }

  #fromWorker(message: FromWorker): void {
    const { onState, onRtc } = this.#options
    switch (message.kind) {
      case "waiting":
        onState({ kind: "starting", isOurs: false })
        return
      case "starting":
        onState({ kind: "starting", isOurs: true })
        return
      case "leading":
        this.#introduce(this.#router)
        this.#announce(message)
        return
      case "failed":
        this.#hasFailed = message.isFinal
        onState({ kind: "trouble", why: "server", trouble: message.trouble, isFinal: message.isFinal })
        return
      case "streams-ended":
        this.#versions.streamsEnded()
        return
      case "stopped":
        this.#restart()
        return
      case "rtc":
        onRtc(message.value)
        return
      case "pong":
      // The worker's watch has seen it.
    }
  }

  #hear(announcement: Announcement): void {
    const { epoch } = this.#worker
    switch (announcement.kind) {
      case "leading":
        this.link.leading(announcement.epoch)
        // It has lost its lock, however that came about.
        if (epoch !== undefined && epoch < announcement.epoch) this.#restart()
        this.#versions.leading()
        return
      case "gone":
        this.link.gone(announcement.epoch)
        return
      case "new-service-worker":
        if (epoch !== undefined) this.#worker.post({ kind: "end-streams" })
        return
      case "new-version":
        this.#versions.isNew = true
        if (epoch !== undefined) this.#worker.post({ kind: "stop", graceMs: stopMs })
        else if (this.#hasFailed) this.#restart()
    }
  }

  /** To all pages, this one too, and what the service worker has to know. */
  #announce(announcement: Announcement): void {
    this.#channel.postMessage(announcement)
    if (announcement.kind === "gone") this.#tell(announcement)
    this.#hear(announcement)
  }

  /** The registration comes late, or not at all when the page is about to go. */
  get #router(): ServiceWorker | null {
    return this.#registration?.active ?? navigator.serviceWorker.controller
  }

  #tell(message: ToServiceWorker, ...transfer: Transferable[]): void {
    this.#router?.postMessage(message, transfer)
  }

  /** A port of the server to the service worker, if it is this page's worker. */
  #introduce(to: ServiceWorker | null): void {
    const { epoch } = this.#worker
    if (epoch === undefined || to === null) return
    const { port1, port2 } = new MessageChannel()
    this.#worker.post({ kind: "connect", from: "service-worker" }, port1)
    to.postMessage({ kind: "leading", epoch, protocol: protocolVersion } satisfies ToServiceWorker, [port2])
  }

  #connect(port: MessagePort): void {
    if (this.#worker.epoch === undefined) this.#tell({ kind: "connect", protocol: protocolVersion }, port)
    else this.#worker.post({ kind: "connect", from: "page" }, port)
  }
}

/** Resolves when one is active. */
async function register(): Promise<ServiceWorkerRegistration> {
  const registration = await navigator.serviceWorker.register(serviceWorkerPath, { updateViaCache: "none" })
  if (registration.active !== null) return registration
  const coming = registration.installing ?? registration.waiting
  await new Promise<void>((resolve, reject) => {
    const look = () => {
      if (coming === null || coming.state === "activated" || registration.active?.state === "activated") resolve()
      else if (coming.state === "redundant") {
        reject(new Error("a file is missing, or there is no room for it"))
      }
    }
    coming?.addEventListener("statechange", look)
    look()
  })
  return registration
}

const watchMs = 1000
/** For requests that run when a new version takes over: what comes meanwhile waits for it, but not for ever. */
const stopMs = 1000
