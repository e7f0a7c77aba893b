// Package tab runs an http.Handler inside an application of rdv: in the worker of a browser tab, or in Node. The program is
// compiled with GOOS=js GOARCH=wasm; `goApp` of the JavaScript package `rdv/tab/go` loads it.
//
//	func main() {
//		db := tab.OpenDB()
//		http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { … })
//		tab.Serve(http.DefaultServeMux)
//	}
//
// Serve takes net/http handlers as they are: bodies stream both ways and wait for whoever is slower, Flush flushes, and the
// context of a request ends when its visitor leaves. OpenDB is SQLite, with transactions that are real ones. PeerTransport
// reaches other servers by their names. Whatever waits parks its goroutine and lets the others run; whatever computes holds
// up everything else in the worker, since WebAssembly has one thread.
package tab
