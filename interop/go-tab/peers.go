//go:build js && wasm

package tab

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// PeerTransport sends requests to other servers: the host of the URL is a server's name, http://alice/notes. They go through
// the relay, or directly where that works; bodies stream both ways. This server must be public itself (else ErrClosed).
var PeerTransport http.RoundTripper = peerTransport{}

// PeerClient is an http.Client over PeerTransport.
var PeerClient = &http.Client{Transport: PeerTransport}

type peerTransport struct{}

func (peerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	hasBody := r.Body != nil && r.Body != http.NoBody
	id := host.ownFlow()
	var once sync.Once
	over := func() {
		once.Do(func() {
			cancel()
			_, _ = host.now(opClose, id, nil, 0)
		})
	}
	begun := func() {
		if hasBody {
			go func() {
				defer r.Body.Close()
				host.pump(ctx, id, r.Body)
			}()
		}
	}
	extra := 0
	if hasBody {
		extra = 1
	}
	isSent := false
	answer, err := host.later(ctx, opPeer, id, peerHead(r), extra, func() { isSent = true; begun() }, nil)
	if err != nil {
		over()
		if hasBody && !isSent {
			r.Body.Close()
		}
		return nil, err
	}
	lines := strings.Split(string(answer), "\n")
	status, err := strconv.Atoi(lines[0])
	if err != nil {
		over()
		return nil, errWire
	}
	response := &http.Response{
		Status:     fmt.Sprintf("%03d %s", status, http.StatusText(status)),
		StatusCode: status,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     fields(lines[1:]),
		Body:       &body{id: id, ctx: ctx, onClose: over},
		Request:    r,
	}
	response.ContentLength = lengthOf(response.Header)
	return response, nil
}

// peerHead is "name\nmethod\ntarget\nbody\nname\nvalue…".
func peerHead(r *http.Request) []byte {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	head := []byte(strings.Join([]string{r.URL.Hostname(), method, r.URL.RequestURI(), ""}, "\n"))
	for name, values := range r.Header {
		for _, value := range values {
			head = append(append(append(append(head, '\n'), name...), '\n'), oneLine.Replace(value)...)
		}
	}
	return head
}
