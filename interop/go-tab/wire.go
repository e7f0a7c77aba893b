package tab

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// Statements and rows as bytes: src/capabilities/tab/go/statement-wire.ts has the other side.
const (
	wireNull = iota
	wireInteger
	wireReal
	wireText
	wireBlob
)

// timeText sorts as the times do, and SQLite's own functions read it.
const timeText = "2006-01-02T15:04:05.000000000Z"

func appendStatement(to []byte, wantsRows bool, text string, args []driver.NamedValue) ([]byte, error) {
	mode := byte(0)
	if wantsRows {
		mode = 1
	}
	if !utf8.ValidString(text) {
		return nil, &Error{"usage", "a statement is UTF-8"}
	}
	to = appendText(append(to, mode), text)
	to = binary.LittleEndian.AppendUint32(to, uint32(len(args)))
	for _, arg := range args {
		switch value := arg.Value.(type) {
		case nil:
			to = append(to, wireNull)
		case int64:
			to = binary.LittleEndian.AppendUint64(append(to, wireInteger), uint64(value))
		case float64:
			to = binary.LittleEndian.AppendUint64(append(to, wireReal), math.Float64bits(value))
		case bool:
			number := uint64(0)
			if value {
				number = 1
			}
			to = binary.LittleEndian.AppendUint64(append(to, wireInteger), number)
		case string:
			if !utf8.ValidString(value) {
				return nil, &Error{"usage", fmt.Sprintf("value %d is no UTF-8: give it as []byte", arg.Ordinal)}
			}
			to = appendText(append(to, wireText), value)
		case time.Time:
			to = appendText(append(to, wireText), value.UTC().Format(timeText))
		case []byte:
			if value == nil {
				to = append(to, wireNull)
				break
			}
			to = append(binary.LittleEndian.AppendUint32(append(to, wireBlob), uint32(len(value))), value...)
		default:
			return nil, &Error{"usage", fmt.Sprintf("value %d is a %T", arg.Ordinal, value)}
		}
	}
	return to, nil
}

func appendText(to []byte, text string) []byte {
	return append(binary.LittleEndian.AppendUint32(to, uint32(len(text))), text...)
}

// changes is a driver.Result.
type changes struct{ count, lastID int64 }

func readChanges(bytes []byte) (changes, error) {
	if len(bytes) != 16 {
		return changes{}, errWire
	}
	return changes{
		count:  int64(binary.LittleEndian.Uint64(bytes)),
		lastID: int64(binary.LittleEndian.Uint64(bytes[8:])),
	}, nil
}

func (c changes) LastInsertId() (int64, error) { return c.lastID, nil }
func (c changes) RowsAffected() (int64, error) { return c.count, nil }

// rows is a driver.Rows over an answer that is here as a whole; each row is read when it is asked for.
type rows struct {
	names, declared []string
	left            uint32
	bytes           []byte
}

func readRows(bytes []byte) (*rows, error) {
	r := &rows{bytes: bytes}
	count, err := r.number()
	if err != nil {
		return nil, err
	}
	for ; count > 0; count-- {
		name, err := r.text()
		if err != nil {
			return nil, err
		}
		declared, err := r.text()
		if err != nil {
			return nil, err
		}
		r.names = append(r.names, string(name))
		r.declared = append(r.declared, strings.ToUpper(string(declared)))
	}
	r.left, err = r.number()
	return r, err
}

func (r *rows) Columns() []string { return r.names }

func (r *rows) Close() error {
	r.left = 0
	return nil
}

// ColumnTypeDatabaseTypeName is the type that the table declares.
func (r *rows) ColumnTypeDatabaseTypeName(index int) string { return r.declared[index] }

func (r *rows) Next(dest []driver.Value) error {
	if r.left == 0 {
		return io.EOF
	}
	r.left--
	for at := range dest {
		value, err := r.value()
		if err != nil {
			return err
		}
		dest[at] = asDeclared(value, r.declared[at])
	}
	return nil
}

func (r *rows) value() (driver.Value, error) {
	if len(r.bytes) == 0 {
		return nil, errWire
	}
	kind := r.bytes[0]
	r.bytes = r.bytes[1:]
	switch kind {
	case wireNull:
		return nil, nil
	case wireInteger, wireReal:
		if len(r.bytes) < 8 {
			return nil, errWire
		}
		bits := binary.LittleEndian.Uint64(r.bytes)
		r.bytes = r.bytes[8:]
		if kind == wireReal {
			return math.Float64frombits(bits), nil
		}
		return int64(bits), nil
	case wireText:
		text, err := r.text()
		return string(text), err
	case wireBlob:
		return r.text()
	}
	return nil, errWire
}

func (r *rows) number() (uint32, error) {
	if len(r.bytes) < 4 {
		return 0, errWire
	}
	number := binary.LittleEndian.Uint32(r.bytes)
	r.bytes = r.bytes[4:]
	return number, nil
}

func (r *rows) text() ([]byte, error) {
	length, err := r.number()
	if err != nil || uint64(length) > uint64(len(r.bytes)) {
		return nil, errWire
	}
	text := r.bytes[:length:length]
	r.bytes = r.bytes[length:]
	return text, nil
}

// asDeclared gives times and truths back as such; SQLite has no types of their own for them.
func asDeclared(value driver.Value, declared string) driver.Value {
	switch given := value.(type) {
	case string:
		if strings.HasPrefix(declared, "DATE") || strings.HasPrefix(declared, "TIMESTAMP") {
			for _, layout := range timeLayouts {
				if moment, err := time.Parse(layout, given); err == nil {
					return moment.UTC()
				}
			}
		}
	case int64:
		if strings.HasPrefix(declared, "BOOL") && (given == 0 || given == 1) {
			return given == 1
		}
	}
	return value
}

var timeLayouts = []string{
	"2006-01-02T15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04",
	"2006-01-02",
}

var errWire = errors.New("tab: an answer of the database that is none; the Go package and its host are of different versions")
