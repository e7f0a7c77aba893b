/**
 * Loaded before a measured process. On SIGUSR2 it collects garbage and says on standard error what is in use then:
 * `memory COUNT RESIDENT USED`, in bytes, where USED is what JavaScript holds, inside and outside of its heap.
 */

let count = 0
process.on("SIGUSR2", () => {
  globalThis.gc?.()
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  process.stderr.write(`memory ${++count} ${rss} ${heapUsed + external}\n`)
})
