/** A page's own port to the server worker: requests as at the service worker's, and sockets and calls of the control. */

import type { ControlCalls, ControlName, ControlValue, RequestHead } from "./messages.ts"
import { protocolVersion } from "./messages.ts"
import type { ToOne } from "./port-client.ts"
import { PortClient } from "./port-client.ts"
import { PortSocket } from "./port-socket.ts"
import type { PortSocketOptions } from "./port-socket.ts"
import { troubleError } from "./trouble-error.ts"

export interface PageSocketOptions extends Omit<PortSocketOptions, "id" | "post"> {
  readonly onOpen: (protocol: string) => void
}

export class PagePort extends PortClient {
  /** Resolves with the server's epoch; never, if nobody is at the other side. */
  readonly greeted: Promise<number>
  #isGreeted: ((epoch: number) => void) | undefined
  readonly #sockets = new Map<number, { readonly pipe: PortSocket; readonly onOpen: (protocol: string) => void }>()
  readonly #calls = new Map<number, PromiseWithResolvers<ControlValue>>()

  constructor(port: MessagePort) {
    super(port)
    this.greeted = new Promise((resolve) => (this.#isGreeted = resolve))
  }

  socket(head: RequestHead, protocols: readonly string[], options: PageSocketOptions): PortSocket {
    const id = this.nextId()
    const pipe = new PortSocket({
      ...options,
      id,
      post: (message) => this.post(message),
      onClose: (code, reason) => {
        this.#sockets.delete(id)
        options.onClose(code, reason)
      },
    })
    if (this.isOpen) {
      this.#sockets.set(id, { pipe, onOpen: options.onOpen })
      this.post({ kind: "socket", id, head, protocols })
    } else queueMicrotask(() => pipe.over(1006, ""))
    return pipe
  }

  /** Rejects with what the server says, or `unreachable`. */
  async call<Name extends ControlName>(
    name: Name,
    given: ControlCalls[Name]["given"],
  ): Promise<ControlCalls[Name]["answer"]> {
    if (!this.isOpen) throw gone()
    const id = this.nextId()
    const answer = Promise.withResolvers<ControlValue>()
    this.#calls.set(id, answer)
    this.post({ kind: "call", id, name, value: given })
    return (await answer.promise) as ControlCalls[Name]["answer"]
  }

  override close(): void {
    super.close()
    for (const { pipe } of this.#sockets.values()) pipe.over(1006, "")
    for (const answer of this.#calls.values()) answer.reject(gone())
    this.#calls.clear()
  }

  protected override hello(protocol: number, epoch: number): void {
    if (protocol === protocolVersion) this.#isGreeted?.(epoch)
  }

  protected override other(message: ToOne): void {
    const { id } = message
    const socket = this.#sockets.get(id)
    if (message.kind === "opened") socket?.onOpen(message.protocol)
    else if (message.kind === "message") socket?.pipe.message(message.data)
    else if (message.kind === "close") socket?.pipe.over(message.code, message.reason)
    else if (message.kind === "credit") socket?.pipe.credit(message.bytes)
    else if (message.kind === "answer" || message.kind === "failed") {
      const call = this.#calls.get(id)
      this.#calls.delete(id)
      if (message.kind === "answer") call?.resolve(message.value)
      else call?.reject(troubleError(message.trouble))
    }
  }
}

function gone(): Error {
  return troubleError({ code: "unreachable", text: "The server of this page has ended", mend: "try again" })
}
