//go:build js && wasm

package tab

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync"
	"syscall/js"
)

// What the host does: src/capabilities/tab/go/operations.ts has the meanings.
const (
	opMore   = 0
	opRest   = 1
	opResult = 2
	opReady  = 3
	opLog    = 4

	opHead    = 10
	opRead    = 11
	opRespond = 12
	opWrite   = 13
	opFinish  = 14
	opFail    = 15
	opClose   = 16

	opLease     = 20
	opStatement = 21
	opCommit    = 22
	opRollback  = 23

	opPeer       = 30
	opBlobPut    = 31
	opBlobGet    = 32
	opBlobStat   = 33
	opBlobDelete = 34
	opIdentity   = 35
	opSign       = 36
	opVerify     = 37
)

// bridge is the way to the host. Bytes go through one window of the host's memory: a JavaScript value that Go has held
// lives until Go's collector runs, however large it is, so that nothing but numbers may cross.
type bridge struct {
	call   js.Value
	window js.Value
	size   int
	// crossing is held from the filling of the window to the call, and from the call to its emptying: every allocation
	// may let another goroutine run.
	crossing sync.Mutex

	mu      sync.Mutex
	waiting map[int]chan bool
	token   int
	// flow is the number of the last flow of our own; ours are odd.
	flow    int
	cancels map[int]context.CancelFunc
	serve   func(id int)
}

var host = connect()

// connect finds what the host has left for this program. Nil: nobody did.
func connect() *bridge {
	name := os.Getenv("RDV_TAB")
	there := js.Global().Get(name)
	if name == "" || there.IsUndefined() {
		return nil
	}
	js.Global().Delete(name)
	b := &bridge{
		call:    there.Get("call"),
		window:  there.Get("window"),
		waiting: map[int]chan bool{},
		flow:    -1,
		cancels: map[int]context.CancelFunc{},
	}
	b.size = b.window.Length()
	there.Call("begin",
		js.FuncOf(func(_ js.Value, args []js.Value) any {
			go b.serve(args[0].Int())
			return nil
		}),
		js.FuncOf(func(_ js.Value, args []js.Value) any {
			b.settle(args[0].Int(), args[1].Bool())
			return nil
		}),
		js.FuncOf(func(_ js.Value, args []js.Value) any {
			b.cancel(args[0].Int())
			return nil
		}),
	)
	return b
}

// now does what the host answers at once.
func (b *bridge) now(op, id int, payload []byte, extra int) ([]byte, error) {
	if b == nil {
		return nil, errNoHost
	}
	b.crossing.Lock()
	defer b.crossing.Unlock()
	return b.answer(b.cross(op, id, 0, payload, extra))
}

// later does what the host answers in its own time. Where ctx ends before, late hears what came of it, if it is not nil.
// begun runs when the host knows of it.
func (b *bridge) later(ctx context.Context, op, id int, payload []byte, extra int, begun func(), late func([]byte)) ([]byte, error) {
	if b == nil {
		return nil, errNoHost
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	token, settled := b.expect()
	b.crossing.Lock()
	result := b.cross(op, id, token, payload, extra)
	if result != -1 {
		defer b.crossing.Unlock()
		b.forget(token)
		return b.answer(result)
	}
	b.crossing.Unlock()
	if begun != nil {
		begun()
	}
	select {
	case hasAnswer := <-settled:
		return b.settled(token, hasAnswer)
	case <-ctx.Done():
		go func() {
			if answer, err := b.settled(token, <-settled); err == nil && late != nil {
				late(answer)
			}
		}()
		return nil, ctx.Err()
	}
}

// read is io.Reader's, of what flow id gives.
func (b *bridge) read(ctx context.Context, id int, p []byte) (int, error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		token, settled := b.expect()
		b.crossing.Lock()
		result := b.cross(opRead, id, token, nil, len(p))
		if result != -1 {
			defer b.crossing.Unlock()
			b.forget(token)
			if result == 0 {
				return 0, io.EOF
			}
			if result < 0 {
				return 0, b.failure(result)
			}
			return js.CopyBytesToGo(p[:result], b.window), nil
		}
		b.crossing.Unlock()
		select {
		case hasAnswer := <-settled:
			if _, err := b.settled(token, hasAnswer); err != nil {
				return 0, err
			}
		case <-ctx.Done():
			go func() { _, _ = b.settled(token, <-settled) }()
			return 0, ctx.Err()
		}
	}
}

// write gives bytes to flow id, and waits until there is room for more.
func (b *bridge) write(ctx context.Context, id int, bytes []byte) error {
	for len(bytes) > 0 {
		piece := bytes
		if len(piece) > b.size {
			piece = piece[:b.size]
		}
		if _, err := b.later(ctx, opWrite, id, piece, 0, nil, nil); err != nil {
			return err
		}
		bytes = bytes[len(piece):]
	}
	return nil
}

// pump gives everything that from has to flow id, and tells its end.
func (b *bridge) pump(ctx context.Context, id int, from io.Reader) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for {
		n, err := from.Read((*buffer)[:cap(*buffer)])
		if n > 0 {
			if b.write(ctx, id, (*buffer)[:n]) != nil {
				return
			}
		}
		if err == io.EOF {
			_, _ = b.now(opFinish, id, nil, 0)
			return
		}
		if err != nil {
			_, _ = b.now(opFail, id, []byte(err.Error()), 1)
			return
		}
	}
}

// ownFlow is a number for a flow that begins here.
func (b *bridge) ownFlow() int {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flow += 2
	return b.flow
}

func (b *bridge) expect() (int, chan bool) {
	settled := make(chan bool, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.token++
	b.waiting[b.token] = settled
	return b.token, settled
}

func (b *bridge) forget(token int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.waiting, token)
}

func (b *bridge) settle(token int, hasAnswer bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if settled, ok := b.waiting[token]; ok {
		delete(b.waiting, token)
		settled <- hasAnswer
	}
}

func (b *bridge) settled(token int, hasAnswer bool) ([]byte, error) {
	if !hasAnswer {
		return nil, nil
	}
	b.crossing.Lock()
	defer b.crossing.Unlock()
	return b.answer(b.cross(opResult, 0, token, nil, 0))
}

func (b *bridge) onCancel(id int, cancel context.CancelFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cancels[id] = cancel
}

func (b *bridge) offCancel(id int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.cancels, id)
}

func (b *bridge) cancel(id int) {
	b.mu.Lock()
	cancel := b.cancels[id]
	b.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// cross calls the host; the caller holds crossing.
func (b *bridge) cross(op, id, token int, payload []byte, extra int) int {
	for len(payload) > b.size {
		js.CopyBytesToJS(b.window, payload[:b.size])
		if result := b.call.Invoke(opMore, id, token, b.size, 0).Int(); result < 0 {
			return result
		}
		payload = payload[b.size:]
	}
	if len(payload) > 0 {
		js.CopyBytesToJS(b.window, payload)
	}
	return b.call.Invoke(op, id, token, len(payload), extra).Int()
}

// answer takes what a call has left in the window; the caller holds crossing.
func (b *bridge) answer(result int) ([]byte, error) {
	if result < 0 {
		return nil, b.failure(result)
	}
	if result == 0 {
		return nil, nil
	}
	bytes := make([]byte, result)
	for taken := js.CopyBytesToGo(bytes, b.window); taken < result; {
		b.call.Invoke(opRest, 0, 0, 0, 0)
		taken += js.CopyBytesToGo(bytes[taken:], b.window)
	}
	return bytes, nil
}

func (b *bridge) failure(result int) error {
	text := make([]byte, -2-result)
	js.CopyBytesToGo(text, b.window)
	code, message, _ := bytes.Cut(text, []byte{0})
	return &Error{Code: string(code), Message: string(message)}
}

// buffers are for what goes through in pieces.
var buffers = sync.Pool{New: func() any {
	buffer := make([]byte, 0, 64*1024)
	return &buffer
}}

var errNoHost = &Error{"no_service", "tab: no host; the program is to be run by goApp of rdv/tab/go"}
