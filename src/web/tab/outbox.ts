/** The sending half of a port: what is said within one turn leaves as one message, since each message costs a task. */

export class Outbox<Message> {
  readonly #port: MessagePort
  #messages: Message[] = []
  #transfer: Transferable[] = []

  constructor(port: MessagePort) {
    this.#port = port
  }

  /** `transfer` is no longer the caller's. */
  post(message: Message, ...transfer: Transferable[]): void {
    if (this.#messages.push(message) === 1) queueMicrotask(() => this.flush())
    this.#transfer.push(...transfer)
  }

  /** At once: before the port is closed. */
  flush(): void {
    if (this.#messages.length === 0) return
    const messages = this.#messages
    const transfer = this.#transfer
    this.#messages = []
    this.#transfer = []
    this.#port.postMessage(messages, transfer)
  }
}
