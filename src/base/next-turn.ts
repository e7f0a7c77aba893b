/**
 * A later turn of the event loop, as soon as what already waits there has had its turn: whatever arrived while we were busy
 * can join what happens then. Timers would do it too, but browsers make them wait.
 */

/** Node's is meant for this; in a browser it is a message to oneself. */
export function nextTurn(): (callback: () => void) => void {
  const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => void }
  if (setImmediate !== undefined) return (callback) => setImmediate(callback)
  const waiting: (() => void)[] = []
  const channel = new MessageChannel()
  // Node's types know this property at its workers only.
  ;(channel.port1 as { onmessage?: unknown }).onmessage = () => waiting.shift()?.()
  return (callback) => {
    waiting.push(callback)
    channel.port2.postMessage(0)
  }
}
