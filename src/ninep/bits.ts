/** The numbers inside messages: modes, flags and masks, by the names of the manuals. */

/** The mode of Topen and Tcreate: open(5). */
export const openMode = {
  OREAD: 0,
  OWRITE: 1,
  ORDWR: 2,
  /** Reads, when the file may be executed. */
  OEXEC: 3,
  OTRUNC: 0x10,
  /** Removed when the fid is clunked. */
  ORCLOSE: 0x40,
  /** What Linux sends with 9P2000.u. */
  OAPPEND: 0x80,
} as const

/** The upper bits of a mode in stat records and of the perm of Tcreate: stat(5); below 0x01000000 those of 9P2000.u. */
export const permissionBits = {
  DMDIR: 0x8000_0000,
  DMAPPEND: 0x4000_0000,
  DMEXCL: 0x2000_0000,
  DMTMP: 0x0400_0000,
  DMSYMLINK: 0x0200_0000,
  DMDEVICE: 0x0080_0000,
  DMNAMEDPIPE: 0x0020_0000,
  DMSOCKET: 0x0010_0000,
} as const

/** The flags of Tlopen and Tlcreate: Linux's numbers on most machines, whatever the client's. */
export const linuxOpen = {
  ACCESS: 0o3,
  RDONLY: 0o0,
  WRONLY: 0o1,
  RDWR: 0o2,
  CREAT: 0o100,
  EXCL: 0o200,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  DIRECTORY: 0o200000,
} as const

/** The kind of file in the mode of Rgetattr. */
export const linuxMode = { TYPE: 0o170000, DIRECTORY: 0o040000, REGULAR: 0o100000, SYMLINK: 0o120000 } as const

/** The type of an entry of Rreaddir. */
export const entryType = { DIRECTORY: 4, REGULAR: 8, SYMLINK: 10 } as const

/** What Tgetattr asks for and Rgetattr holds. */
export const getattrBits = { BASIC: 0x7ff, ALL: 0x3fff } as const

/** Which fields of Tsetattr mean something. */
export const setattrBits = {
  MODE: 0x1,
  UID: 0x2,
  GID: 0x4,
  SIZE: 0x8,
  ATIME: 0x10,
  MTIME: 0x20,
  CTIME: 0x40,
  /** The times are those of the message; without it, the server's now. */
  ATIME_SET: 0x80,
  MTIME_SET: 0x100,
} as const

/** Tunlinkat: the name is a folder's. */
export const AT_REMOVEDIR = 0x200

/** Tlock, Tgetlock and Rgetlock. */
export const lockType = { RDLCK: 0, WRLCK: 1, UNLCK: 2 } as const

/** In a Twstat: the field stays as it is. Texts stay when they are empty. */
export const untouched16 = 0xffff
export const untouched32 = 0xffff_ffff
export const untouched64 = 0xffff_ffff_ffff_ffffn
