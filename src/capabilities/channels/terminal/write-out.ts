/** Standard output at the pace of whoever reads it. */

/** Resolves when the bytes have left the process; rejects with EPIPE when nobody reads any more. */
export function writeOut(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error instanceof Error ? reject(error) : resolve()))
  })
}
