/** A link over a Node socket. */

import type { Socket } from "node:net"
import type { Link } from "../mux/link.ts"
import { adopted, SocketPipe } from "../sockets/socket-pipe.ts"
import type { SocketPipeOptions } from "../sockets/socket-pipe.ts"

export interface SocketLinkOptions extends SocketPipeOptions {
  readonly protected: boolean
}

/** As `SocketPipe`. */
export function socketLink(socket: Socket, options: SocketLinkOptions): Link {
  return new SocketLink(socket, options)
}

/** The same for a socket that was made without a reader, as `adopted` tells. */
export function acceptedLink(accepted: Socket, options: Omit<SocketLinkOptions, "reader">): Link {
  const { socket, ...reader } = adopted(accepted)
  return new SocketLink(socket, { ...options, ...reader })
}

class SocketLink extends SocketPipe implements Link {
  readonly protected: boolean

  constructor(socket: Socket, options: SocketLinkOptions) {
    super(socket, options)
    this.protected = options.protected
  }
}
