/** What the tests in `test/kernel/` use of `kernels.mjs`. */

export declare function kernelFolder(version: string): string
export declare function kernelReady(version: string): boolean
