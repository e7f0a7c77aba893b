//go:build js && wasm

// Command exercise is the program of the tests: every path does one thing that the package promises.
package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"rdv/tab"
)

var db = tab.OpenDB()

func main() {
	if os.Getenv("FAIL") != "" {
		panic("this program does not start")
	}
	must(db.Exec(`
		CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
		CREATE TABLE IF NOT EXISTS kinds (whole INTEGER, broken REAL, blob BLOB, made DATETIME, truth BOOLEAN, empty TEXT);
	`))
	http.HandleFunc("/go/hello", hello)
	http.HandleFunc("/go/info", info)
	http.HandleFunc("/go/hash", hash)
	http.HandleFunc("/go/bytes", bytes)
	http.HandleFunc("/go/echo", echo)
	http.HandleFunc("/go/events", events)
	http.HandleFunc("/go/forever", forever)
	http.HandleFunc("/go/ended", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, atomic.LoadInt64(&ended)) })
	http.HandleFunc("/go/written", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, atomic.LoadInt64(&written)) })
	http.HandleFunc("/go/panic", func(http.ResponseWriter, *http.Request) { panic("as asked for") })
	http.HandleFunc("/go/panic-late", func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("begun"))
		w.(http.Flusher).Flush()
		panic("too late")
	})
	http.HandleFunc("/go/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	http.HandleFunc("/go/short", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		w.Write([]byte("short"))
	})
	http.HandleFunc("/go/status", func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.FormValue("is"))
		w.WriteHeader(status)
		fmt.Fprint(w, "a body")
	})
	http.HandleFunc("/go/exit", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	http.HandleFunc("/go/crash", func(http.ResponseWriter, *http.Request) {
		go panic("nobody recovers this")
		select {}
	})
	http.HandleFunc("/go/insert", insert)
	http.HandleFunc("/go/insert-panic", func(w http.ResponseWriter, r *http.Request) {
		insert(w, r)
		panic("after the insert")
	})
	http.HandleFunc("/go/count", count)
	http.HandleFunc("/go/rollback", rollback)
	http.HandleFunc("/go/pair", pair)
	http.HandleFunc("/go/leave", leave)
	http.HandleFunc("/go/kinds", kinds)
	http.HandleFunc("/go/many", many)
	http.HandleFunc("/go/errors", sqlErrors)
	http.HandleFunc("/go/peer", peer)
	http.HandleFunc("/go/blob", blob)
	http.HandleFunc("/go/self", self)
	tab.Serve(nil)
}

func hello(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
	http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
	w.Header().Add("X-Many", "one")
	w.Header().Add("X-Many", "two")
	w.Header().Set("X-Bytes", "caf\xe9")
	w.Header()["bad name\n"] = []string{"x"}
	w.Header().Set("X-Lines", "a\r\nb")
	fmt.Fprintf(w, "hello %s\n", r.Header.Get("X-Name"))
}

func info(w http.ResponseWriter, r *http.Request) {
	_, canHijack := w.(http.Hijacker)
	_, canFlush := w.(http.Flusher)
	body, err := io.ReadAll(r.Body)
	answer(w, map[string]any{
		"method": r.Method, "path": r.URL.Path, "query": r.URL.RawQuery, "host": r.Host, "remote": r.RemoteAddr,
		"uri": r.RequestURI, "header": r.Header, "length": r.ContentLength, "visitor": tab.VisitorOf(r),
		"hijack": canHijack, "flush": canFlush, "body": string(body), "error": fmt.Sprint(err), "args": os.Args,
		"variable": os.Getenv("VARIABLE"),
	})
}

func hash(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(w, "%d %x", n, sum.Sum(nil))
}

var written, ended int64

func bytes(w http.ResponseWriter, r *http.Request) {
	left, _ := strconv.Atoi(r.FormValue("n"))
	w.Header().Set("Content-Type", "application/octet-stream")
	piece := make([]byte, 100_000)
	for at := range piece {
		piece[at] = byte(at % 251)
	}
	atomic.StoreInt64(&written, 0)
	for left > 0 {
		if left < len(piece) {
			piece = piece[:left]
		}
		n, err := w.Write(piece)
		atomic.AddInt64(&written, int64(n))
		if err != nil {
			break
		}
		left -= n
	}
	atomic.AddInt64(&ended, 1)
}

// echo answers while the request still comes.
func echo(w http.ResponseWriter, r *http.Request) {
	buffer := make([]byte, 1000)
	for {
		n, err := r.Body.Read(buffer)
		if n > 0 {
			w.Write(buffer[:n])
			w.(http.Flusher).Flush()
		}
		if err != nil {
			return
		}
	}
}

func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for number := 1; number <= 3; number++ {
		fmt.Fprintf(w, "data: %d\n\n", number)
		w.(http.Flusher).Flush()
		select {
		case <-time.After(50 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}

func forever(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("begin") != "" {
		w.(http.Flusher).Flush()
	}
	<-r.Context().Done()
	atomic.AddInt64(&ended, 1)
}

func insert(w http.ResponseWriter, r *http.Request) {
	result, err := db.ExecContext(r.Context(), "INSERT INTO notes (text) VALUES (?)", r.FormValue("text"))
	if errors.Is(err, tab.ErrConstraint) {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	check(err)
	id, _ := result.LastInsertId()
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, id)
}

func count(w http.ResponseWriter, r *http.Request) {
	var number int
	check(db.QueryRowContext(r.Context(), "SELECT count(*) FROM notes").Scan(&number))
	fmt.Fprint(w, number)
}

func rollback(w http.ResponseWriter, r *http.Request) {
	tx, err := db.BeginTx(r.Context(), nil)
	check(err)
	must(tx.Exec("INSERT INTO notes (text) VALUES (?)", r.FormValue("text")))
	var within int
	check(tx.QueryRow("SELECT count(*) FROM notes WHERE text = ?", r.FormValue("text")).Scan(&within))
	check(tx.Rollback())
	var after int
	check(db.QueryRowContext(r.Context(), "SELECT count(*) FROM notes WHERE text = ?", r.FormValue("text")).Scan(&after))
	fmt.Fprint(w, within, after)
}

// pair writes two notes, or none: the second may be there already.
func pair(w http.ResponseWriter, r *http.Request) {
	tx, err := db.BeginTx(r.Context(), nil)
	check(err)
	defer tx.Rollback()
	for _, name := range []string{"first", "second"} {
		if _, err := tx.ExecContext(r.Context(), "INSERT INTO notes (text) VALUES (?)", r.FormValue(name)); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
	}
	check(tx.Commit())
	w.WriteHeader(http.StatusCreated)
}

// leave waits for its visitor to go, in the middle of a transaction.
func leave(w http.ResponseWriter, r *http.Request) {
	tx, err := db.BeginTx(r.Context(), nil)
	check(err)
	must(tx.Exec("INSERT INTO notes (text) VALUES ('never')"))
	w.(http.Flusher).Flush()
	<-r.Context().Done()
	_, err = tx.Exec("INSERT INTO notes (text) VALUES ('never either')")
	if err == nil {
		panic("the transaction has outlived its context")
	}
	atomic.AddInt64(&ended, 1)
}

func kinds(w http.ResponseWriter, r *http.Request) {
	moment := time.Date(2026, 11, 21, 12, 0, 0, 123456789, time.FixedZone("", 3600))
	huge := int64(1)<<62 + 1
	must(db.Exec("DELETE FROM kinds"))
	must(db.Exec("INSERT INTO kinds VALUES (?, ?, ?, ?, ?, ?)", huge, 3.0, []byte{0, 255}, moment, true, nil))
	var (
		whole   int64
		broken  float64
		blob    []byte
		made    time.Time
		truth   bool
		nothing sql.NullString
		twice   int64
		form    string
	)
	row := db.QueryRow("SELECT *, whole, typeof(broken) || typeof(made) || typeof(blob) FROM kinds")
	check(row.Scan(&whole, &broken, &blob, &made, &truth, &nothing, &twice, &form))
	names, err := db.Query("SELECT 2 AS b, 1 AS a, 1 AS a WHERE 0")
	check(err)
	columns, _ := names.Columns()
	names.Close()
	statement, err := db.Prepare("SELECT ?2 || ?1")
	check(err)
	var swapped string
	check(statement.QueryRow("a", "b").Scan(&swapped))
	check(statement.Close())
	answer(w, map[string]any{
		"whole": whole == huge, "broken": broken, "blob": blob, "made": made.Equal(moment), "truth": truth,
		"nothing": nothing.Valid, "twice": twice == huge, "form": form, "columns": columns, "swapped": swapped,
	})
}

// many reads a result of several windows.
func many(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("n"))
	long := make([]byte, n)
	var back []byte
	check(db.QueryRow("SELECT ?", long).Scan(&back))
	all, err := db.Query("WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) SELECT n, 'a text of some length' FROM numbers", n)
	check(err)
	defer all.Close()
	var sum, number int64
	var text string
	for all.Next() {
		check(all.Scan(&number, &text))
		sum += number
	}
	check(all.Err())
	fmt.Fprint(w, len(back), sum)
}

func sqlErrors(w http.ResponseWriter, r *http.Request) {
	said := map[string]string{}
	say := func(name string, err error) {
		var failure *tab.Error
		if errors.As(err, &failure) {
			said[name] = failure.Code
		} else {
			said[name] = fmt.Sprint(err)
		}
	}
	_, err := db.Exec("SELEC 1")
	say("syntax", err)
	_, err = db.Exec("INSERT INTO notes (text) VALUES (NULL)")
	say("null", err)
	_, err = db.Exec("BEGIN")
	say("begin", err)
	_, err = db.Exec("INSERT INTO notes (text) VALUES (?)")
	say("too few", err)
	_, err = db.Exec("INSERT INTO notes (text) VALUES (?)", uint64(1)<<63)
	say("too large", err)
	_, err = db.Exec("INSERT INTO notes (text) VALUES (@a)", sql.Named("a", 1))
	say("named", err)
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	_, err = db.ExecContext(ctx, "DELETE FROM notes")
	say("cancelled", err)
	_, err = db.BeginTx(r.Context(), &sql.TxOptions{ReadOnly: true})
	say("read only", err)
	say("no rows", db.QueryRow("SELECT 1 WHERE 0").Scan(new(int)))
	// One that waits for the database, and gives up, has not got it.
	tx, err := db.Begin()
	check(err)
	short, stop := context.WithTimeout(r.Context(), 20*time.Millisecond)
	defer stop()
	_, err = db.BeginTx(short, nil)
	say("waiting", err)
	check(tx.Commit())
	must(db.Exec("DELETE FROM kinds"))
	answer(w, said)
}

func peer(w http.ResponseWriter, r *http.Request) {
	request, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.FormValue("name")+r.FormValue("path"), nil)
	check(err)
	if r.Method == http.MethodPost {
		request.Body = r.Body
	}
	request.Header.Set("X-Name", "a peer")
	response, err := tab.PeerClient.Do(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	for _, cookie := range response.Header["Set-Cookie"] {
		w.Header().Add("X-Cookie", cookie)
	}
	w.WriteHeader(response.StatusCode)
	io.Copy(w, response.Body)
}

func blob(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		kept, err := tab.PutBlob(r.Context(), r.Body, r.Header.Get("Content-Type"))
		check(err)
		answer(w, kept)
	case http.MethodDelete:
		was, err := tab.DeleteBlob(r.Context(), r.FormValue("id"))
		check(err)
		fmt.Fprint(w, was)
	default:
		facts, err := tab.StatBlob(r.Context(), r.FormValue("id"))
		if errors.Is(err, tab.ErrNotFound) {
			http.NotFound(w, r)
			return
		}
		check(err)
		content, err := tab.GetBlob(r.Context(), facts.ID, 0, -1)
		check(err)
		defer content.Close()
		w.Header().Set("Content-Type", facts.Type)
		io.Copy(w, content)
	}
}

func self(w http.ResponseWriter, r *http.Request) {
	me, err := tab.Self()
	check(err)
	signature, err := tab.Sign(r.Context(), []byte("words"))
	check(err)
	right, err := tab.Verify(r.Context(), me.Key, []byte("words"), signature)
	check(err)
	wrong, err := tab.Verify(r.Context(), me.Key, []byte("other words"), signature)
	check(err)
	tab.Log.Info("a line", "number", 7)
	answer(w, map[string]any{"self": me, "right": right, "wrong": wrong})
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	check(json.NewEncoder(w).Encode(value))
}

func must(_ any, err error) { check(err) }

func check(err error) {
	if err != nil {
		panic(err)
	}
}
