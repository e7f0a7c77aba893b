//go:build js && wasm

package tab

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// response is the http.ResponseWriter. It keeps what is written until there is a piece worth sending, or until Flush; an
// answer that ends before is sent as a whole, with its length. It is an http.Flusher and no http.Hijacker.
type response struct {
	id     int
	r      *http.Request
	header http.Header
	// status is 0 before WriteHeader.
	status int
	// sent are the fields as they were when WriteHeader was called.
	sent http.Header
	// isBegun: the host has the head.
	isBegun bool
	// declared is the Content-Length, or -1.
	declared, written int64
	buffer            *[]byte
	err               error
}

func newResponse(r *http.Request, id int) *response {
	return &response{id: id, r: r, header: http.Header{}, declared: -1, buffer: buffers.Get().(*[]byte)}
}

func (w *response) release() {
	*w.buffer = (*w.buffer)[:0]
	buffers.Put(w.buffer)
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
	if w.status != 0 {
		Log.Warn("superfluous WriteHeader", "path", w.r.URL.Path, "status", status)
		return
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		// Informational answers have no way to go.
		return
	}
	w.status = status
	w.sent = w.header.Clone()
	if w.sent == nil {
		w.sent = http.Header{}
	}
	if w.sent.Get("Content-Length") != "" {
		w.declared = lengthOf(w.sent)
		if w.declared < 0 {
			w.sent.Del("Content-Length")
		}
	}
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if !w.mayHaveBody() {
		return 0, http.ErrBodyNotAllowed
	}
	w.written += int64(len(p))
	if w.declared >= 0 && w.written > w.declared {
		return 0, http.ErrContentLength
	}
	if w.err != nil {
		return 0, w.err
	}
	if w.r.Method == http.MethodHead {
		return len(p), nil
	}
	taken := 0
	for taken < len(p) {
		// What is large goes by itself.
		if len(*w.buffer) == 0 && len(p)-taken >= cap(*w.buffer) {
			end := taken + host.size/2
			if end > len(p) {
				end = len(p)
			}
			if w.send(p[taken:end]); w.err != nil {
				return taken, w.err
			}
			taken = end
			continue
		}
		n := cap(*w.buffer) - len(*w.buffer)
		if n > len(p)-taken {
			n = len(p) - taken
		}
		*w.buffer = append(*w.buffer, p[taken:taken+n]...)
		taken += n
		if len(*w.buffer) == cap(*w.buffer) {
			if w.sendBuffer(); w.err != nil {
				return taken, w.err
			}
		}
	}
	return taken, nil
}

func (w *response) WriteString(text string) (int, error) { return w.Write([]byte(text)) }

// Flush sends what is there; it waits while the visitor is slow.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.r.Method != http.MethodHead && w.mayHaveBody() && (len(*w.buffer) > 0 || !w.isBegun) {
		w.sendBuffer()
	}
	return w.err
}

func (w *response) sendBuffer() {
	w.send(*w.buffer)
	*w.buffer = (*w.buffer)[:0]
}

// send gives bytes to the host, the head before them, and waits until there is room for more.
func (w *response) send(bytes []byte) {
	if w.err != nil {
		return
	}
	if !w.isBegun {
		w.respond(bytes, 0)
		// It may have been all that there was room for.
		bytes = nil
		if w.err != nil {
			return
		}
		_, w.err = host.later(w.r.Context(), opWrite, w.id, nil, 0, nil, nil)
		return
	}
	w.err = host.write(w.r.Context(), w.id, bytes)
}

func (w *response) respond(bytes []byte, whole int) {
	w.isBegun = true
	head := w.head(bytes)
	payload := make([]byte, 0, 4+len(head)+len(bytes))
	payload = binary.LittleEndian.AppendUint32(payload, uint32(len(head)))
	payload = append(append(payload, head...), bytes...)
	_, w.err = host.now(opRespond, w.id, payload, whole)
}

// finish sends what is left.
func (w *response) finish() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.err != nil {
		return
	}
	if w.declared > w.written && w.r.Method != http.MethodHead && w.mayHaveBody() {
		w.fail(fmt.Sprintf("the handler of %s wrote %d of %d bytes", w.r.URL.Path, w.written, w.declared), 0)
		return
	}
	if !w.isBegun {
		if w.declared < 0 && w.mayHaveBody() && (w.written > 0 || w.r.Method != http.MethodHead) {
			w.sent.Set("Content-Length", strconv.FormatInt(w.written, 10))
		}
		w.respond(*w.buffer, 1)
		return
	}
	if len(*w.buffer) > 0 {
		w.sendBuffer()
	}
	if w.err == nil {
		_, w.err = host.now(opFinish, w.id, nil, 0)
	}
}

// abort is for a handler that has panicked.
func (w *response) abort(thrown any, stack []byte) {
	if thrown == http.ErrAbortHandler {
		w.fail("the handler has aborted", 1)
		return
	}
	fmt.Fprintf(os.Stderr, "tab: panic serving %s %s: %v\n%s", w.r.Method, w.r.URL.Path, thrown, stack)
	w.fail(fmt.Sprintf("panic: %v\x00%s", thrown, placeOf(string(stack))), 0)
}

// placeOf is the line that has panicked: what follows Go's own call of panic.
func placeOf(stack string) string {
	lines := strings.Split(stack, "\n")
	for at := 0; at+3 < len(lines); at++ {
		if strings.HasPrefix(lines[at], "panic(") {
			function, _, _ := strings.Cut(lines[at+2], "(")
			file, _, _ := strings.Cut(strings.TrimSpace(lines[at+3]), " ")
			return function + " (" + file + ")"
		}
	}
	return ""
}

func (w *response) fail(reason string, meant int) {
	_, _ = host.now(opFail, w.id, []byte(reason), meant)
}

// head is "status\nname\nvalue…".
func (w *response) head(bytes []byte) []byte {
	if _, has := w.sent["Content-Type"]; !has && len(bytes) > 0 && w.sent.Get("Content-Encoding") == "" {
		w.sent.Set("Content-Type", http.DetectContentType(bytes))
	}
	head := strconv.AppendInt(make([]byte, 0, 256), int64(w.status), 10)
	for name, values := range w.sent {
		// Of trailers and of how a connection sends its bytes the host knows nothing.
		if strings.ContainsAny(name, "\r\n") || name == "Transfer-Encoding" || name == "Trailer" || strings.HasPrefix(name, http.TrailerPrefix) {
			continue
		}
		for _, value := range values {
			head = append(append(append(append(head, '\n'), name...), '\n'), oneLine.Replace(value)...)
		}
	}
	return head
}

func (w *response) mayHaveBody() bool {
	return w.status >= 200 && w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

var oneLine = strings.NewReplacer("\n", " ", "\r", " ")
