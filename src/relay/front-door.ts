/**
 * The relay's public ports: sessions and visitors come in by the same one. Who is there is told by the first byte on a
 * plain port, and by the negotiated protocol under TLS.
 */

import { RdvError } from "../base/error.ts"
import { tryAdoption } from "../sockets/socket-reader.ts"
import type { Address } from "../transport/address.ts"
import { printAddress } from "../transport/address.ts"
import { closeServer, listenServer } from "../transport/tcp.ts"
import type { Listener } from "../transport/transport.ts"
import { listenUnix } from "../transport/unix.ts"
import { PlainDoor } from "./plain-door.ts"
import type { Relay } from "./relay.ts"
import { TlsDoor } from "./tls-door.ts"
import type { DoorTls } from "./tls-door.ts"

export interface Door extends Listener {
  /** Under TLS: shows another certificate from the next handshake on; connections that stand keep theirs. */
  renew(secrets: DoorTls): void
  /** Ends those who have come and not said yet who they are; after `close`. */
  cut(): void
  status(): DoorStatus
}

export type DoorStatus = {
  readonly address: string
  /** Connections that have not said yet who they are: without a byte, or under TLS before the end of the handshake. */
  readonly waiting: number
  /** How many of those were turned away because there were too many. */
  readonly turnedAway: number
}

/** Listens at an address of scheme tcp, tls or unix. Rejects with `in_use` or `usage`. */
export async function openDoor(relay: Relay, address: Address, secrets: DoorTls | undefined): Promise<Door> {
  if (address.scheme === "unix") {
    const listener = await listenUnix({ path: address.path }, (link) => relay.greet(link))
    const status = { address: printAddress(listener.address), waiting: 0, turnedAway: 0 }
    return { ...listener, renew: () => undefined, cut: () => undefined, status: () => status }
  }
  if (address.scheme !== "tcp" && address.scheme !== "tls") {
    throw new RdvError("usage", `A relay cannot listen at ${address.scheme}`, { mend: "use tcp://, tls:// or unix:" })
  }
  await tryAdoption()
  const { scheme } = address
  const door = scheme === "tls" ? new TlsDoor(relay, needed(secrets)) : new PlainDoor(relay)
  const bound: Address = { scheme, ...(await listenServer(door.server, address)) }
  const place = printAddress(bound)
  return {
    address: bound,
    close: () => closeServer(door.server),
    cut: () => door.cut(),
    renew: (other) => {
      if (door instanceof TlsDoor) door.renew(other)
    },
    status: () => ({ address: place, waiting: door.pending, turnedAway: door.turnedAway }),
  }
}

function needed(secrets: DoorTls | undefined): DoorTls {
  if (secrets !== undefined) return secrets
  throw new RdvError("usage", "A tls:// address needs a certificate", { mend: "give --tls-cert and --tls-key" })
}
