/**
 * The face for channels: `import { channels, localChannels } from "rdv/channels"`. Programs send to each other and wait for
 * each other, in one process, on one machine or over a network that breaks; docs/how-to/channels-from-typescript.md.
 */

import { readFileSync } from "node:fs"
import type { Stream } from "./base/stream.ts"
import { systemClock } from "./base/clock.ts"
import type { Clock } from "./base/clock.ts"
import { asRdvError, RdvError } from "./base/error.ts"
import type { Log } from "./base/log.ts"
import { silentLog } from "./base/log.ts"
import { SeededRandom } from "./base/random.ts"
import { Space } from "./capabilities/channels/core/space.ts"
import type { SpaceLimits } from "./capabilities/channels/core/space.ts"
import type { ChannelSettings } from "./capabilities/channels/core/settings.ts"
import type { Identity } from "./capabilities/channels/files/identity.ts"
import { channelHandler } from "./capabilities/channels/native/channel-service.ts"
import { Channels } from "./capabilities/channels/native/client/channels.ts"
import type { Case, Selected, SelectOptions } from "./capabilities/channels/native/client/channels.ts"
import { ClientChannel } from "./capabilities/channels/native/client/client-channel.ts"
import type { ChannelOptions } from "./capabilities/channels/native/client/client-channel.ts"
import { Outlet } from "./capabilities/channels/native/frame-writer.ts"
import { loopStreams } from "./capabilities/channels/native/loop-stream.ts"
import { channelService } from "./capabilities/channels/native/protocol.ts"
import type { JsonObject } from "./base/json.ts"
import type { SessionLimits } from "./mux/limits.ts"
import { startAgent } from "./start-agent.ts"

export { errorCodes, RdvError } from "./base/error.ts"
export type { ErrorCode } from "./base/error.ts"
export type { ChannelStats } from "./capabilities/channels/core/channel.ts"
export type { Grade } from "./capabilities/channels/core/parties.ts"
export type { ChannelSettings } from "./capabilities/channels/core/settings.ts"
export type { SpaceLimits } from "./capabilities/channels/core/space.ts"
export type { Channels } from "./capabilities/channels/native/client/channels.ts"
export type {
  Case,
  CreateOptions,
  ListOptions,
  Selected,
  SelectOptions,
} from "./capabilities/channels/native/client/channels.ts"
export type { ClientChannel as Channel } from "./capabilities/channels/native/client/client-channel.ts"
export type {
  BatchOptions,
  ChannelOptions,
  FollowOptions,
  ReceiveOptions,
  SendOptions,
} from "./capabilities/channels/native/client/client-channel.ts"
export type { ChannelEntry, Entry, FolderEntry } from "./capabilities/channels/native/client/entry.ts"
export type { Message } from "./capabilities/channels/native/client/message.ts"
export type { Settled } from "./capabilities/channels/native/client/sender.ts"
export type { Subscription } from "./capabilities/channels/native/client/subscription.ts"

export interface ConnectOptions {
  /** Where the channels are: `host:port`, `tls://host:port`, `https://…`, `wss://…`, `unix:/path`. */
  readonly relay: string
  /** Goes only over links that nobody on the way can read, or to this machine. */
  readonly token?: string
  /** A file whose first line is the token. */
  readonly tokenFile?: string
  /** Allows a token over a link that anybody on the way can read. */
  readonly tokenInClear?: boolean
  /** PEM of the certificate authority, where the system does not know it. */
  readonly ca?: string
  /** SHA-256 of the server's certificate in hex, in place of every other check. */
  readonly pinSha256?: string
  /** An HTTP proxy to dial through. */
  readonly proxy?: URL
  /** How long the first session may take, ms; the server may start later than its clients. Default 10 000. */
  readonly connectMs?: number
  /** Gives up after this when dials fail, ms: nobody listens there, or lets us in. Default: `connectMs`. */
  readonly refusedMs?: number
  /** Default: none. */
  readonly log?: Log
  /** Of the session. */
  readonly limits?: Partial<SessionLimits>
}

/**
 * Connects to a server of channels; resolves when the session stands. It outlives cuts of its connection, and a server that
 * is started again gets a new one: calls wait meanwhile. Rejects with `usage`, `timeout`, `unreachable`, `unauthorized`.
 */
export async function channels(options: ConnectOptions): Promise<Channels> {
  const { relay, connectMs = 10_000, refusedMs = connectMs, log = silentLog } = options
  const token = options.token ?? (options.tokenFile === undefined ? undefined : readToken(options.tokenFile))
  /** Those who wait for a session. */
  let waiting: (() => void)[] = []
  let failure: RdvError | undefined
  let lastError: RdvError | undefined
  let isLate = false
  const wake = () => {
    const all = waiting
    waiting = []
    for (const each of all) each()
  }
  const running = startAgent({
    relay,
    token,
    log,
    ...(options.tokenInClear !== undefined && { tokenInClear: options.tokenInClear }),
    dial: {
      ...(options.ca !== undefined && { ca: options.ca }),
      ...(options.pinSha256 !== undefined && { pinSha256: options.pinSha256 }),
      ...(options.proxy !== undefined && { proxy: options.proxy }),
    },
    ...(options.limits !== undefined && { limits: options.limits }),
    onEvent(event) {
      if (event.kind === "up") wake()
      else if (event.kind === "retry") {
        lastError = event.error
        if (isLate) giveUp()
      } else if (event.kind === "failed") {
        failure = event.error
        wake()
      }
    },
  })
  // Timers of the product do not keep a process, and between two links there is no socket: whoever waits here wants to go on.
  const alive = setInterval(() => undefined, 2 ** 30)
  const stop = async (graceMs: number) => {
    if (failure === undefined) failure = new RdvError("closed", "The connection to the channels is closed")
    wake()
    try {
      await running.stop(graceMs)
    } finally {
      clearInterval(alive)
    }
  }
  const open = async (header: JsonObject): Promise<Stream> => {
    for (;;) {
      if (failure !== undefined) throw failure
      try {
        return running.agent.dial(channelService, { header })
      } catch (thrown) {
        if (asRdvError(thrown).code !== "unreachable") throw thrown
      }
      await new Promise<void>((resolve) => waiting.push(resolve))
    }
  }
  const giveUp = () => {
    failure = new RdvError("timeout", `No session with ${relay} within ${connectMs} ms`, { cause: lastError })
    if (lastError !== undefined) failure = new RdvError("unreachable", lastError.message, { cause: lastError })
    wake()
  }
  const late = setTimeout(() => {
    isLate = true
    if (lastError !== undefined) giveUp()
  }, refusedMs)
  const timer = setTimeout(giveUp, connectMs)
  try {
    await new Promise<void>((resolve) => waiting.push(resolve))
    if (failure !== undefined) throw failure
  } catch (error) {
    await stop(0)
    throw error
  } finally {
    isLate = false
    clearTimeout(late)
    clearTimeout(timer)
  }
  return new Channels({ clock: systemClock, outlet: new Outlet(), open }, () => stop(1_000))
}

export interface LocalOptions {
  /** For new channels. */
  readonly defaults?: Partial<ChannelSettings>
  readonly limits?: Partial<SpaceLimits>
  /** Repeats the choices of `select`, for tests. */
  readonly seed?: number
}

/** Channels within this process: the same interface, and no network. */
export function localChannels(options: LocalOptions = {}): Channels {
  const { defaults, limits, seed = Math.floor(Math.random() * 2 ** 48) } = options
  const space = new Space({
    clock: systemClock,
    random: new SeededRandom(seed),
    ...(defaults !== undefined && { defaults }),
    ...(limits !== undefined && { limits }),
  })
  const handle = channelHandler(space, { clock: waitingClock, identify: () => everybody })
  let timer = systemClock.after(1_000, tick)
  function tick(): void {
    space.tick()
    timer = systemClock.after(1_000, tick)
  }
  const open = async (header: JsonObject): Promise<Stream> => {
    const [near, far] = loopStreams(channelService, header)
    handle({ stream: far, header, caller: { peer: "local", owner: undefined } })
    return near
  }
  return new Channels({ clock: waitingClock, outlet: new Outlet(), open }, async () => timer.cancel())
}

/** Its timers keep the process: somebody waits for a deadline, and here no socket does it for them. */
const waitingClock: Clock = {
  ...systemClock,
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

const everybody: Identity = {
  name: "local",
  uid: 65_534,
  gid: 65_534,
  groups: [],
  admin: true,
  prefix: "/",
  mayReceive: () => true,
  maySend: () => true,
}

/**
 * One channel by its address: `rdv://host:port/path`, or `rdvs://` over TLS. The session is its own, and ends with it. The
 * token is an option, never a part of the address. Rejects as `channels`.
 */
export async function channel(
  address: string,
  options: Omit<ConnectOptions, "relay"> & ChannelOptions = {},
): Promise<OwnChannel> {
  const match = /^(rdvs?):\/\/([^/]+)(\/.+)$/.exec(address)
  if (match === null) {
    throw new RdvError("usage", `${JSON.stringify(address)} is no address of a channel`, {
      mend: "write rdv://host:port/path",
    })
  }
  const [, scheme, place, path] = match as unknown as [string, string, string, string]
  const server = await channels({ ...options, relay: `${scheme === "rdvs" ? "tls" : "tcp"}://${place}` })
  return new OwnChannel(server, decodeURI(path), options)
}

/** A channel with a session of its own: `close` ends both. */
export class OwnChannel extends ClientChannel {
  readonly server: Channels

  /** Made by `channel`. */
  constructor(server: Channels, path: string, options: ChannelOptions) {
    super(server, path, options)
    this.server = server
  }

  override async close(options: { readonly graceMs?: number } = {}): Promise<void> {
    await super.close(options)
    await this.server.close(options)
  }
}

/** Exactly one of the cases happens; `Channels.select` has the details. All channels are of one server. */
export function select<const Options extends SelectOptions>(
  cases: readonly Case[],
  options?: Options,
): Promise<Selected<Options>> {
  const [first] = cases
  if (first === undefined) return Promise.reject(new RdvError("usage", "A select needs a case"))
  return ("receive" in first ? first.receive : first.send).select(cases, options)
}

function readToken(file: string): string {
  try {
    return (readFileSync(file, "utf8").split("\n", 1)[0] as string).trim()
  } catch (error) {
    throw new RdvError("usage", `The token file ${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}
