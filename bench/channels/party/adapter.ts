/** What a producer or a consumer process asks of a system: to connect, to send, to hear. One file each implements it. */

/** Where a server listens. */
export type Place = { readonly host: string; readonly port: number } | { readonly path: string }

export interface Meeting {
  readonly place: Place
  /** Of the channel, queue or subject; fresh for each measurement. */
  readonly name: string
  /** Which of several producers or consumers this is, from 0. */
  readonly index: number
  /** How many messages may be under way to one consumer before it has answered for the first. */
  readonly window: number
  /** How many receivers share the connection, each with a window of its own; only some adapters look at it. */
  readonly receivers: number
  /** One at a time: nothing may wait for company. */
  readonly isSingle: boolean
  /** The folder with the clients from npm; empty where none is needed. */
  readonly clients: string
}

export interface Outlet {
  /** Sends one message; `confirmed` is called once, when the system's proof of it has come. */
  send(bytes: Uint8Array, confirmed: () => void): void
  /** The same as its users send when nobody asks for the receiver's proof; `send` where it is absent. */
  offer?(bytes: Uint8Array, taken: () => void): void
  /** Sends the message again and again in the system's streaming form until `going` says no, then waits for what confirms. */
  pour?(bytes: Uint8Array, going: () => boolean): Promise<number>
}

/** A message of that length has come. False: the program is stuck, nothing is answered for it. */
export type Hear = (length: number) => boolean

export interface Adapter {
  produce(meeting: Meeting): Promise<Outlet>
  /** Resolves when messages can come. */
  consume(meeting: Meeting, hear: Hear): Promise<void>
}

/** For `pour` of systems that have no form of their own for it: `window` messages under way. */
export function pourBySending(
  send: (bytes: Uint8Array, confirmed: () => void) => void,
  bytes: Uint8Array,
  going: () => boolean,
  window = 1_024,
): Promise<number> {
  return new Promise((resolve) => {
    let [sent, open] = [0, 0]
    const next = (): void => {
      if (going()) {
        sent++
        open++
        send(bytes, confirmed)
      } else if (open === 0) resolve(sent)
    }
    const confirmed = (): void => {
      open--
      next()
    }
    for (let at = 0; at < window; at++) next()
  })
}

/** What must not happen in a measurement ends it. */
export function fail(error: unknown): never {
  process.stderr.write(`${error instanceof Error ? `Error: ${error.message}` : String(error)}\n`)
  process.exit(1)
}
