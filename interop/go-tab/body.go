//go:build js && wasm

package tab

import (
	"context"
	"net/http"
	"sync"
)

// body is what a flow gives, as it is asked for.
type body struct {
	id  int
	ctx context.Context
	mu  sync.Mutex
	// ahead are bytes for small reads: each crossing costs.
	ahead []byte
	space []byte
	err   error
	// onClose runs once.
	onClose func()
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ahead) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		if len(p) == 0 {
			return 0, nil
		}
		if len(p) >= smallRead {
			n, err := host.read(b.ctx, b.id, p)
			b.err = err
			return n, err
		}
		if b.space == nil {
			b.space = make([]byte, smallRead)
		}
		n, err := host.read(b.ctx, b.id, b.space)
		b.err = err
		b.ahead = b.space[:n]
	}
	n := copy(p, b.ahead)
	b.ahead = b.ahead[n:]
	if n == 0 {
		return 0, b.err
	}
	return n, nil
}

func (b *body) Close() error {
	// A read that waits ends by the context, or by the end of the flow.
	if b.onClose != nil {
		b.onClose()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = http.ErrBodyReadAfterClose
	b.ahead = nil
	return nil
}

const smallRead = 4096
