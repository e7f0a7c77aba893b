/** Uses so many bytes of memory once and lets go of them: `warm.ts BYTES`. */

const held: Buffer[] = []
const part = 1 << 28
for (let left = Number(process.argv[2]); left > 0; left -= part) {
  const bytes = Buffer.allocUnsafeSlow(Math.min(left, part))
  for (let at = 0; at < bytes.length; at += 4096) bytes[at] = 1
  held.push(bytes)
}
