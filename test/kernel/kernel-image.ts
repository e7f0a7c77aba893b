/**
 * The kernels that `scripts/kernels.mjs` fetched, made ready to boot. QEMU enters an uncompressed kernel directly (PVH),
 * which spares the emulated machine the seconds that a kernel takes to unpack itself.
 */

import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { zstdDecompressSync } from "node:zlib"
import { kernelFolder, kernelReady } from "../../scripts/kernels.mjs"

export type KernelVersion = "6.1" | "6.12"

export interface KernelImage {
  /** What QEMU boots. */
  readonly path: string
  /** Files, in the order in which they are loaded. */
  readonly modules: readonly string[]
}

/** Throws an error that says how to get it when it is not there. */
export function kernelImage(version: KernelVersion): KernelImage {
  if (!kernelReady(version)) {
    throw new Error(`no Linux ${version} in ${kernelFolder(version)}: node scripts/kernels.mjs fetches it`)
  }
  const folder = kernelFolder(version)
  const modules = readdirSync(join(folder, "modules"))
    .sort()
    .map((name) => join(folder, "modules", name))
  const plain = join(folder, "vmlinux")
  if (existsSync(plain)) return { path: plain, modules }
  const packed = join(folder, "vmlinuz")
  const bytes = unpacked(readFileSync(packed))
  if (bytes === undefined) return { path: packed, modules }
  try {
    // Another process may be at it, too: whoever is last replaces the same bytes.
    writeFileSync(`${plain}.${process.pid}`, bytes)
    renameSync(`${plain}.${process.pid}`, plain)
  } catch (error) {
    // The folder of another user; the packed one boots, too.
    if (["EACCES", "EROFS", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? ""))
      return { path: packed, modules }
    throw error
  }
  return { path: plain, modules }
}

/** The ELF file in a bzImage (Documentation/arch/x86/boot.rst), or nothing when it is packed in a way not known here. */
function unpacked(image: Buffer): Buffer | undefined {
  const setupSectors = image.readUInt8(0x1f1) || 4
  const start = (setupSectors + 1) * 512 + image.readUInt32LE(0x248)
  // The last four bytes of the payload tell its unpacked size.
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c) - 4)
  const elf = unpackPayload(payload)
  return elf?.readUInt32BE(0) === 0x7f454c46 ? elf : undefined
}

function unpackPayload(payload: Buffer): Buffer | undefined {
  const magic = payload.readUInt32BE(0)
  if (magic === 0x28b52ffd) return zstdDecompressSync(payload)
  if (magic !== 0xfd377a58) return undefined
  const result = spawnSync("xz", ["-dc", "--single-stream"], { input: payload, maxBuffer: 1 << 28 })
  return result.status === 0 ? result.stdout : undefined
}
