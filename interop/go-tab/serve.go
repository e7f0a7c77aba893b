//go:build js && wasm

package tab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// Serve answers the application's requests by the handler and never returns. Each runs in a goroutine of its own. A handler
// that panics answers 500, with a line in the log; http.ErrAbortHandler does so without its stack.
//
// The path of a request is as the application got it: where a program is mounted below others, http.StripPrefix helps.
func Serve(handler http.Handler) {
	if host == nil {
		fmt.Fprintln(os.Stderr, errNoHost.Message)
		os.Exit(1)
	}
	if handler == nil {
		handler = http.DefaultServeMux
	}
	host.serve = func(id int) { serve(handler, id) }
	_, _ = host.now(opReady, 0, nil, 0)
	select {}
}

// Visitor is who sent a request; headers cannot forge it.
type Visitor struct {
	// Kind is "own" (a page of the own browser, or of this machine), "public" (somebody at the public address) or "peer".
	Kind string
	// Address is a public visitor's, as the relay saw it.
	Address string
	// PeerName and PeerKey are those of a peer, proven at the relay.
	PeerName, PeerKey string
}

// VisitorOf tells who sent a request that Serve has given. Any other one is a stranger's.
func VisitorOf(r *http.Request) Visitor {
	if e, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		return e.visitor
	}
	return Visitor{Kind: "public"}
}

type exchangeKey struct{}

// exchange is what the context of a request knows.
type exchange struct {
	id      int
	visitor Visitor
}

// exchangeOf is the number of the request that ctx belongs to, or 0.
func exchangeOf(ctx context.Context) int {
	if e, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return e.id
	}
	return 0
}

func serve(handler http.Handler, id int) {
	e := &exchange{id: id}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), exchangeKey{}, e))
	host.onCancel(id, cancel)
	defer func() {
		cancel()
		host.offCancel(id)
		_, _ = host.now(opClose, id, nil, 0)
	}()
	head, err := host.now(opHead, id, nil, 0)
	if err != nil {
		return
	}
	r, err := e.request(ctx, strings.Split(string(head), "\n"))
	if err != nil {
		_, _ = host.now(opFail, id, []byte(err.Error()), 0)
		return
	}
	w := newResponse(r, id)
	defer w.release()
	defer func() {
		if thrown := recover(); thrown != nil {
			w.abort(thrown, debug.Stack())
		}
	}()
	handler.ServeHTTP(w, r)
	w.finish()
}

// request makes one of the lines of its head: see operations.ts.
func (e *exchange) request(ctx context.Context, lines []string) (*http.Request, error) {
	const first = 7
	if len(lines) < first {
		return nil, errWire
	}
	method, target, name, kind, from, key := lines[0], lines[1], lines[2], lines[3], lines[4], lines[5]
	address, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, err
	}
	e.visitor = Visitor{Kind: kind}
	remote := "127.0.0.1"
	switch kind {
	case "public":
		e.visitor.Address = from
		remote = from
	case "peer":
		e.visitor.PeerName, e.visitor.PeerKey = from, key
		remote = from
	}
	r := &http.Request{
		Method:     method,
		URL:        address,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     fields(lines[first:]),
		Host:       name,
		RequestURI: target,
		RemoteAddr: net.JoinHostPort(remote, "0"),
		Body:       http.NoBody,
	}
	r.Header.Del("Host")
	if lines[6] == "1" {
		r.Body = &body{id: e.id, ctx: ctx}
		r.ContentLength = lengthOf(r.Header)
	}
	return r.WithContext(ctx), nil
}

// fields are names and values by turns.
func fields(lines []string) http.Header {
	header := make(http.Header, len(lines)/2)
	for ; len(lines) >= 2; lines = lines[2:] {
		header.Add(lines[0], lines[1])
	}
	return header
}

// lengthOf is what the header declares, or -1.
func lengthOf(header http.Header) int64 {
	length, err := strconv.ParseUint(header.Get("Content-Length"), 10, 63)
	if err != nil {
		return -1
	}
	return int64(length)
}
