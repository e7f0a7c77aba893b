//go:build js && wasm

package tab

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
)

// OpenDB is the application's database: SQLite, durable. sql.Open("tab", "") is the same.
//
// A statement by itself shares its commit with whatever else is written at the moment, and returns when it is on disk.
// A transaction has the database for itself: others wait, also those of the same handler, so that one which idles for 5 s is
// taken back (ErrTimeout). What a handler does with its request's context belongs to that request: where the visitor gave an
// Idempotency-Key, all of it happens once, together with the answer. So give r.Context() to all of a handler's statements,
// or to none: with a key, one without would wait for those with it.
//
// int64, float64, string, []byte and nil are kept as they are; a bool is 0 or 1; a time.Time is text in UTC
// ("2026-11-21T10:00:00.000000000Z"). Columns that are declared DATE…, TIMESTAMP… or BOOL… give times and truths back.
// Values are marked by ? or ?1; names are refused. Rows are here as a whole before the first is read, up to 64 MiB.
func OpenDB() *sql.DB { return sql.OpenDB(connector{}) }

func init() { sql.Register("tab", sqlDriver{}) }

type sqlDriver struct{}

func (sqlDriver) Open(string) (driver.Conn, error) { return connector{}.Connect(context.Background()) }

type connector struct{}

func (connector) Connect(context.Context) (driver.Conn, error) {
	if host == nil {
		return nil, errNoHost
	}
	return &conn{}, nil
}

func (connector) Driver() driver.Driver { return sqlDriver{} }

// conn costs nothing: only a transaction has the connection that there is.
type conn struct {
	// lease is that of the open transaction, or 0.
	lease int
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	answer, err := c.statement(ctx, false, query, args)
	if err != nil {
		return nil, err
	}
	return readChanges(answer)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	answer, err := c.statement(ctx, true, query, args)
	if err != nil {
		return nil, err
	}
	return readRows(answer)
}

func (c *conn) statement(ctx context.Context, wantsRows bool, query string, args []driver.NamedValue) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	payload, err := appendStatement((*buffer)[:0], wantsRows, query, args)
	if err != nil {
		return nil, err
	}
	if c.lease != 0 {
		return host.now(opStatement, c.lease, payload, exchangeOf(ctx))
	}
	return host.later(ctx, opStatement, 0, payload, exchangeOf(ctx), nil, nil)
}

// CheckNamedValue takes what database/sql knows, and refuses names.
func (c *conn) CheckNamedValue(value *driver.NamedValue) error {
	if value.Name != "" {
		return &Error{"usage", "values have no names: mark them by ?"}
	}
	given, err := driver.DefaultParameterConverter.ConvertValue(value.Value)
	if err == nil {
		value.Value = given
	}
	return err
}

func (c *conn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if options.ReadOnly {
		return nil, &Error{"usage", "there are no transactions that only read"}
	}
	// Transactions are serializable, whatever less is asked for.
	late := func(answer []byte) { rollback(int(binary.LittleEndian.Uint32(answer))) }
	answer, err := host.later(ctx, opLease, exchangeOf(ctx), nil, 0, nil, late)
	if err != nil {
		return nil, err
	}
	c.lease = int(binary.LittleEndian.Uint32(answer))
	return transaction{c}, nil
}

func (c *conn) Begin() (driver.Tx, error) { return c.BeginTx(context.Background(), driver.TxOptions{}) }

func (c *conn) Prepare(query string) (driver.Stmt, error) { return &statement{c, query}, nil }

func (c *conn) Ping(context.Context) error { return nil }

func (c *conn) Close() error {
	if c.lease != 0 {
		rollback(c.lease)
		c.lease = 0
	}
	return nil
}

func rollback(lease int) { _, _ = host.now(opRollback, lease, nil, 0) }

type transaction struct{ c *conn }

func (t transaction) Commit() error {
	lease := t.c.lease
	t.c.lease = 0
	_, err := host.later(context.Background(), opCommit, lease, nil, 0, nil, nil)
	return err
}

func (t transaction) Rollback() error { return t.c.Close() }

// statement is prepared by the host, which keeps those that were used last.
type statement struct {
	c     *conn
	query string
}

func (s *statement) Close() error  { return nil }
func (s *statement) NumInput() int { return -1 }

func (s *statement) CheckNamedValue(value *driver.NamedValue) error {
	return s.c.CheckNamedValue(value)
}

func (s *statement) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.c.ExecContext(ctx, s.query, args)
}

func (s *statement) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.QueryContext(ctx, s.query, args)
}

func (s *statement) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), numbered(args))
}

func (s *statement) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), numbered(args))
}

func numbered(args []driver.Value) []driver.NamedValue {
	values := make([]driver.NamedValue, len(args))
	for at, arg := range args {
		values[at] = driver.NamedValue{Ordinal: at + 1, Value: arg}
	}
	return values
}
