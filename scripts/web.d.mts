/** What the tests of pages use of `web.mjs`. */

export declare function bundlePages(options?: { readonly force?: boolean }): boolean
