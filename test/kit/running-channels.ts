/** `rdv chan serve` as a process of its own, and 9P clients of it. */

import { connect } from "node:net"
import type { NetConnectOpts } from "node:net"
import { once } from "node:events"
import { connect as connectTls } from "node:tls"
import type { ConnectionOptions } from "node:tls"
import { NinepClient } from "../../src/ninep/client.ts"
import type { ConnectOptions } from "../../src/ninep/client.ts"
import { socketBytes } from "./byte-links.ts"
import { RunningCommand, temporaryFolder } from "./command.ts"

export interface ChannelsOptions {
  readonly flags?: readonly string[]
  /** Default a free port of loopback. */
  readonly listen?: readonly string[]
}

export class RunningChannels implements AsyncDisposable {
  readonly command: RunningCommand
  /** Of its tokens. */
  readonly data: string
  /** As it says them, with the ports that were chosen. */
  readonly addresses: readonly string[]
  readonly #folder: Disposable

  private constructor(folder: { readonly path: string } & Disposable, command: RunningCommand, addresses: string[]) {
    this.#folder = folder
    this.data = folder.path
    this.command = command
    this.addresses = addresses
  }

  /** Listens when this resolves. */
  static async start({ flags = [], listen = ["127.0.0.1:0"] }: ChannelsOptions = {}): Promise<RunningChannels> {
    const folder = temporaryFolder()
    const where = listen.flatMap((address) => ["--listen", address.replace("FOLDER", folder.path)])
    const command = new RunningCommand(["chan", "serve", "--json", "--log-format", "json", ...where, ...flags], {
      data: folder.path,
    })
    try {
      const { addresses } = await command.event("listening")
      return new RunningChannels(folder, command, addresses as string[])
    } catch (error) {
      await command[Symbol.asyncDispose]()
      folder[Symbol.dispose]()
      throw error
    }
  }

  get port(): number {
    return Number(/:(\d+)$/.exec(this.addresses[0] as string)?.[1])
  }

  /** A 9P client over TCP, or over what `to` says. */
  client(options: Partial<ConnectOptions> = {}, to: NetConnectOpts = { port: this.port }): Promise<NinepClient> {
    return ninepTo(to, options)
  }

  async tlsClient(tls: ConnectionOptions, options: Partial<ConnectOptions> = {}): Promise<NinepClient> {
    const socket = connectTls({ port: this.port, ...tls })
    await once(socket, "secureConnect")
    return NinepClient.connect({ link: socketBytes(socket), uid: 0, ...options })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.command[Symbol.asyncDispose]()
    this.#folder[Symbol.dispose]()
  }
}

/** A 9P client over a connection of its own. */
export async function ninepTo(to: NetConnectOpts, options: Partial<ConnectOptions> = {}): Promise<NinepClient> {
  const socket = connect(to)
  await once(socket, "connect")
  return NinepClient.connect({ link: socketBytes(socket), uid: 0, ...options })
}

/** What one read of a file gives, as text. */
export async function readText(client: NinepClient, path: string): Promise<string> {
  const file = await client.open(path, { read: true })
  try {
    return new TextDecoder().decode(await file.read(0, 65_536))
  } finally {
    await file.clunk()
  }
}

export async function writeText(client: NinepClient, path: string, text: string): Promise<void> {
  const file = await client.open(path, { write: true })
  try {
    await file.write(0, new TextEncoder().encode(text))
  } finally {
    await file.clunk()
  }
}
