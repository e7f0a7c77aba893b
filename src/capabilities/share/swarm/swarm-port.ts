/**
 * What the scheduler of a swarm asks of the world around it. The relay's service stands behind it, or a simulation. All
 * calls return at once; what comes of them is told by the methods of `Scheduler`.
 */

export interface SwarmPort {
  /** Sends a chunk that is in the cache to a member, by its path to the relay. `Scheduler.have` when it has it, `unpushed` when it was not sent. */
  push(member: string, chunk: number): void
  /** Asks a member for a chunk, into the cache. `Scheduler.arrived`, or `refused`. */
  fetch(holder: string, chunk: number): void
  /** Nobody waits for it any more. */
  unfetch(holder: string, chunk: number): void
  /** Tells a member to get a chunk from another one directly. `Scheduler.have` or `failed`. */
  take(member: string, chunk: number, from: string): void
  /** Tells a member to stop waiting for it. */
  drop(member: string, chunk: number): void
  /** True when the cache holds it now. */
  cached(chunk: number): boolean
}
