package tab

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"
	"time"
)

// echo makes an answer of one row out of the values of a statement: both have the same form.
func echo(t *testing.T, declared string, values ...driver.Value) []byte {
	t.Helper()
	args := make([]driver.NamedValue, len(values))
	answer := binary.LittleEndian.AppendUint32(nil, uint32(len(values)))
	for at, value := range values {
		args[at] = driver.NamedValue{Ordinal: at + 1, Value: value}
		answer = appendText(appendText(answer, "name"), declared)
	}
	statement, err := appendStatement(nil, true, "", args)
	if err != nil {
		t.Fatal(err)
	}
	answer = binary.LittleEndian.AppendUint32(answer, 1)
	return append(answer, statement[9:]...)
}

func TestValuesComeBackAsTheyWentIn(t *testing.T) {
	values := []driver.Value{nil, int64(math.MaxInt64), int64(math.MinInt64), 3.0, math.Inf(1), "", "ä\x00😀", []byte{}, []byte{0, 255}}
	all, err := readRows(echo(t, "", values...))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]driver.Value, len(values))
	if err := all.Next(got); err != nil {
		t.Fatal(err)
	}
	for at, value := range values {
		if blob, ok := value.([]byte); ok {
			if !bytes.Equal(blob, got[at].([]byte)) {
				t.Errorf("%v is not %v", got[at], value)
			}
		} else if got[at] != value {
			t.Errorf("%v is not %v", got[at], value)
		}
	}
	if err := all.Next(got); err != io.EOF {
		t.Errorf("%v is not the end", err)
	}
}

func TestTimesAreTextThatSorts(t *testing.T) {
	early := time.Date(2026, 11, 21, 10, 0, 0, 500_000_000, time.FixedZone("", 3600))
	late := early.Add(time.Nanosecond)
	all, err := readRows(echo(t, "datetime", early, late, "2026-11-21", "no time"))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]driver.Value, 4)
	if err := all.Next(got); err != nil {
		t.Fatal(err)
	}
	if !got[0].(time.Time).Equal(early) || !got[1].(time.Time).Equal(late) {
		t.Errorf("%v are not %v, %v", got, early, late)
	}
	if got[2] != time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) || got[3] != "no time" {
		t.Errorf("%v, %v", got[2], got[3])
	}
	if early.UTC().Format(timeText) >= late.UTC().Format(timeText) {
		t.Error("times do not sort as text")
	}
}

func TestACutAnswerIsAnErrorWhereverItIsCut(t *testing.T) {
	whole := echo(t, "", int64(1), "two", []byte("three"), nil)
	for length := range whole {
		all, err := readRows(whole[:length])
		if err == nil {
			err = all.Next(make([]driver.Value, 4))
		}
		if err == nil {
			t.Errorf("nothing was said of an answer of %d bytes out of %d", length, len(whole))
		}
	}
}

func TestWrongValuesAreRefused(t *testing.T) {
	for _, value := range []driver.Value{"\xff", struct{}{}} {
		_, err := appendStatement(nil, false, "", []driver.NamedValue{{Ordinal: 1, Value: value}})
		if !errors.Is(err, ErrUsage) {
			t.Errorf("%v: %v", value, err)
		}
	}
}
