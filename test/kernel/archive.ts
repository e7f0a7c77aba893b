/**
 * An initial root file system for a Linux kernel: the cpio format "newc" (Documentation/driver-api/early-userspace/
 * buffer-format.rst there). Written here because the archive is made of files from many places, with owners and devices
 * that an ordinary user cannot make on disk.
 */

const kinds = { folder: 0o040000, file: 0o100000, link: 0o120000, device: 0o020000 } as const

export class Archive {
  readonly #pieces: Buffer[] = []
  readonly #names: Set<string> = new Set()

  has(path: string): boolean {
    return this.#names.has(path)
  }

  /** Paths begin with `/`. Folders above are made when they are missing; what is there already stays. */
  folder(path: string, permissions = 0o755): void {
    if (path === "" || path === "/" || this.has(path)) return
    this.#add(path, kinds.folder | permissions, Buffer.alloc(0))
  }

  file(path: string, content: Uint8Array | string, permissions = 0o644): void {
    this.#add(path, kinds.file | permissions, Buffer.from(content))
  }

  link(path: string, target: string): void {
    this.#add(path, kinds.link | 0o777, Buffer.from(target))
  }

  characterDevice(path: string, major: number, minor: number): void {
    this.#add(path, kinds.device | 0o600, Buffer.alloc(0), major, minor)
  }

  finish(): Buffer {
    this.#entry("TRAILER!!!", 0, Buffer.alloc(0), 0, 0)
    return Buffer.concat(this.#pieces)
  }

  #add(path: string, mode: number, content: Buffer, major = 0, minor = 0): void {
    if (this.has(path)) throw new Error(`${path} is in the archive already`)
    this.folder(path.slice(0, path.lastIndexOf("/")))
    this.#names.add(path)
    this.#entry(path.slice(1), mode, content, major, minor)
  }

  #entry(name: string, mode: number, content: Buffer, major: number, minor: number): void {
    const nameBytes = Buffer.from(`${name}\0`)
    const inode = this.#names.size
    // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, nameBytes.length, 0]
    const head = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`
    this.#pieces.push(Buffer.from(head), nameBytes, padding(head.length + nameBytes.length))
    this.#pieces.push(content, padding(content.length))
  }
}

/** Heads and contents begin at multiples of four bytes. */
function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4)
}
