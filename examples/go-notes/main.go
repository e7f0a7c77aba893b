//go:build js && wasm

// Notes that live in a browser's tab: net/http, html/template and database/sql as everywhere else.
package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"sync"
	"time"

	"rdv/tab"
)

var db = tab.OpenDB()

func main() {
	_, err := db.Exec(`
		CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, made DATETIME NOT NULL);
		CREATE TABLE IF NOT EXISTS history (line TEXT NOT NULL, made DATETIME NOT NULL);
	`)
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/notes", list)
	http.HandleFunc("/notes/add", add)
	http.HandleFunc("/notes/events", events)
	http.HandleFunc("/notes/of", of)
	tab.Serve(nil)
}

type note struct {
	Text string    `json:"text"`
	Made time.Time `json:"made"`
}

func all(r *http.Request) ([]note, error) {
	rows, err := db.QueryContext(r.Context(), "SELECT text, made FROM notes ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	notes := []note{}
	for rows.Next() {
		var n note
		if err := rows.Scan(&n.Text, &n.Made); err != nil {
			return nil, err
		}
		notes = append(notes, n)
	}
	return notes, rows.Err()
}

func list(w http.ResponseWriter, r *http.Request) {
	notes, err := all(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if r.Header.Get("Accept") == "application/json" {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(notes)
		return
	}
	page(w, notes)
}

// add writes the note and a line of history, or neither.
func add(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	err := inTransaction(r, func(tx *sql.Tx) error {
		now := time.Now()
		if _, err := tx.Exec("INSERT INTO history VALUES (?, ?)", "added "+r.FormValue("text"), now); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO notes (text, made) VALUES (?, ?)", r.FormValue("text"), now)
		return err
	})
	if errors.Is(err, tab.ErrConstraint) {
		http.Error(w, "This note is there already", http.StatusConflict)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	changes.tell()
	http.Redirect(w, r, "/notes", http.StatusSeeOther)
}

func inTransaction(r *http.Request, work func(*sql.Tx) error) error {
	tx, err := db.BeginTx(r.Context(), nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := work(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// events tells pages when to look again, for as long as they are there.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	changed, leave := changes.join()
	defer leave()
	for {
		fmt.Fprint(w, "data: look\n\n")
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// of shows the notes of another server: /notes/of?name=alice
func of(w http.ResponseWriter, r *http.Request) {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+r.FormValue("name")+"/notes", nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	request.Header.Set("Accept", "application/json")
	response, err := tab.PeerTransport.RoundTrip(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	var notes []note
	if err := json.NewDecoder(response.Body).Decode(&notes); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	page(w, notes)
}

// audience are those who want to know of changes.
type audience struct {
	mu     sync.Mutex
	joined map[chan struct{}]bool
}

var changes = audience{joined: map[chan struct{}]bool{}}

func (a *audience) join() (<-chan struct{}, func()) {
	changed := make(chan struct{}, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.joined[changed] = true
	return changed, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.joined, changed)
	}
}

func (a *audience) tell() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for changed := range a.joined {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}

// page is without html/template, which would make the program twice as large: whatever calls methods by their names keeps
// all methods of all types in it.
func page(w io.Writer, notes []note) {
	io.WriteString(w, "<!doctype html><meta charset=utf-8><title>Notes</title>\n<h1>Notes</h1>\n<ul>\n")
	for _, n := range notes {
		fmt.Fprintf(w, "<li>%s <small>%s</small></li>\n", html.EscapeString(n.Text), n.Made.Format("2006-01-02 15:04:05"))
	}
	io.WriteString(w, "</ul>\n<form method=post action=/notes/add><input name=text required autofocus> <button>Add</button></form>\n")
}
