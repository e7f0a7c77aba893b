/** A handler that hears every message of a channel, until either of them ends it. */

import { asRdvError } from "../../../../base/error.ts"
import type { RdvError } from "../../../../base/error.ts"
import type { FollowOptions } from "./client-channel.ts"
import type { Message } from "./message.ts"
import type { Receiver } from "./receiver.ts"

export class Subscription implements AsyncDisposable {
  /** Resolves when nothing comes any more: the channel or the subscription is closed. Rejects with why else. */
  readonly ended: Promise<void>
  readonly #leave: () => Promise<void>

  /** Made by `ClientChannel.subscribe`. */
  constructor(
    receiver: Receiver,
    handler: (message: Message) => void | Promise<void>,
    options: FollowOptions,
    leave: () => Promise<void>,
  ) {
    this.#leave = leave
    const { window = 1, ack = false, signal } = options
    const ended = Promise.withResolvers<void>()
    this.ended = ended.promise
    // Whoever does not look at it has no failure of the process from it.
    this.ended.catch(() => undefined)
    const fail = (message: Message, thrown: unknown) => message.fail(asRdvError(thrown).message)
    const take = (message: Message): void => {
      try {
        const running = handler(message)
        if (running !== undefined) {
          running.then(
            () => {
              if (!ack) message.done()
            },
            (thrown: unknown) => fail(message, thrown),
          )
        } else if (!ack) message.done()
      } catch (thrown) {
        fail(message, thrown)
      }
    }
    const onAbort = () => void this.close()
    const onEnd = (error: RdvError | undefined) => {
      signal?.removeEventListener("abort", onAbort)
      if (error === undefined) ended.resolve()
      else ended.reject(error)
    }
    receiver.deliver(window, take, onEnd)
    if (signal?.aborted === true) onAbort()
    else signal?.addEventListener("abort", onAbort)
  }

  /** Ends it; what was not dealt with goes back. */
  close(): Promise<void> {
    return this.#leave()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
