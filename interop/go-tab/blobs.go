//go:build js && wasm

package tab

import (
	"context"
	"io"
	"strconv"
	"strings"
	"sync"
)

// Blob is a file of the application, kept beside its rows.
type Blob struct {
	// ID is the SHA-256 of the bytes, base64url: the same bytes are kept once.
	ID    string
	Bytes int64
	Type  string
}

// PutBlob keeps what content gives; it is on disk when it returns.
func PutBlob(ctx context.Context, content io.Reader, contentType string) (Blob, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	id := host.ownFlow()
	defer func() { _, _ = host.now(opClose, id, nil, 0) }()
	failed := &watched{from: content}
	begun := func() { go host.pump(ctx, id, failed) }
	answer, err := host.later(ctx, opBlobPut, id, []byte(contentType), exchangeOf(ctx), begun, nil)
	if cause := failed.error(); cause != nil {
		return Blob{}, cause
	}
	if err != nil {
		if ctx.Err() != nil {
			_, _ = host.now(opFail, id, []byte(err.Error()), 1)
		}
		return Blob{}, err
	}
	return readBlob(answer)
}

// GetBlob gives the bytes from from on, up to but not including to; to below 0 is the end. ErrNotFound: there is none.
func GetBlob(ctx context.Context, id string, from, to int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	flow := host.ownFlow()
	var once sync.Once
	over := func() {
		once.Do(func() {
			cancel()
			_, _ = host.now(opClose, flow, nil, 0)
		})
	}
	end := ""
	if to >= 0 {
		end = strconv.FormatInt(to, 10)
	}
	payload := []byte(id + "\n" + strconv.FormatInt(from, 10) + "\n" + end)
	answer, err := host.later(ctx, opBlobGet, flow, payload, exchangeOf(ctx), nil, nil)
	if err == nil && len(answer) == 0 {
		err = noBlob(id)
	}
	if err != nil {
		over()
		return nil, err
	}
	return &body{id: flow, ctx: ctx, onClose: over}, nil
}

// StatBlob tells of a file. ErrNotFound: there is none.
func StatBlob(ctx context.Context, id string) (Blob, error) {
	answer, err := host.later(ctx, opBlobStat, 0, []byte(id), exchangeOf(ctx), nil, nil)
	if err == nil && len(answer) == 0 {
		err = noBlob(id)
	}
	if err != nil {
		return Blob{}, err
	}
	return readBlob(answer)
}

// DeleteBlob tells whether it was there.
func DeleteBlob(ctx context.Context, id string) (bool, error) {
	answer, err := host.later(ctx, opBlobDelete, 0, []byte(id), exchangeOf(ctx), nil, nil)
	return len(answer) > 0, err
}

func readBlob(answer []byte) (Blob, error) {
	lines := strings.SplitN(string(answer), "\n", 3)
	if len(lines) != 3 {
		return Blob{}, errWire
	}
	bytes, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return Blob{}, errWire
	}
	return Blob{ID: lines[0], Bytes: bytes, Type: lines[2]}, nil
}

func noBlob(id string) error { return &Error{"not_found", "there is no file " + id} }

// watched knows what a reader failed with.
type watched struct {
	from io.Reader
	mu   sync.Mutex
	err  error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.from.Read(p)
	if err != nil && err != io.EOF {
		w.mu.Lock()
		w.err = err
		w.mu.Unlock()
	}
	return n, err
}

func (w *watched) error() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
