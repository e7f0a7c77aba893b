//go:build js && wasm

package tab

import (
	"context"
	"fmt"
	"strings"
)

// Identity is who this server is.
type Identity struct {
	// Key is the public key (Ed25519), base64url.
	Key string
	// Name and URL are where others find it; empty while it is not public.
	Name, URL string
}

// Self tells who this server is at the moment.
func Self() (Identity, error) {
	answer, err := host.now(opIdentity, 0, nil, 0)
	if err != nil {
		return Identity{}, err
	}
	lines := strings.SplitN(string(answer), "\n", 3)
	if len(lines) != 3 {
		return Identity{}, errWire
	}
	return Identity{Key: lines[0], Name: lines[1], URL: lines[2]}, nil
}

// Sign makes a signature of 64 bytes; it is good for the application and nothing else.
func Sign(ctx context.Context, bytes []byte) ([]byte, error) {
	return host.later(ctx, opSign, 0, bytes, 0, nil, nil)
}

// Verify tells whether the server with this key has signed the bytes.
func Verify(ctx context.Context, key string, bytes, signature []byte) (bool, error) {
	if len(key) != 43 || len(signature) != 64 {
		return false, nil
	}
	payload := append(append([]byte(key), signature...), bytes...)
	answer, err := host.later(ctx, opVerify, 0, payload, 0, nil, nil)
	return len(answer) > 0, err
}

// Log writes lines of the application: to the console and the status page. Fields are names and values by turns.
var Log logger

type logger struct{}

func (logger) Debug(text string, fields ...any) { writeLog(0, text, fields) }
func (logger) Info(text string, fields ...any)  { writeLog(1, text, fields) }
func (logger) Warn(text string, fields ...any)  { writeLog(2, text, fields) }
func (logger) Error(text string, fields ...any) { writeLog(3, text, fields) }

func writeLog(level int, text string, fields []any) {
	words := []string{text}
	for _, field := range fields {
		words = append(words, fmt.Sprint(field))
	}
	_, _ = host.now(opLog, 0, []byte(strings.Join(words, "\x00")), level)
}
