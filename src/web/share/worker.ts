/** Where the worker begins. */

self.addEventListener("message", () => undefined)
