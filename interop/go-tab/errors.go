package tab

// Error is what the host answers when something fails.
type Error struct {
	// Code is one of rdv's (docs/reference/errors.md), such as "exists" or "timeout".
	Code    string
	Message string
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Message
}

// Is tells errors by their codes: errors.Is(err, tab.ErrConstraint).
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Message == "" && other.Code == e.Code
}

// Kinds of errors, for errors.Is.
var (
	// ErrConstraint: the database forbids it (UNIQUE, NOT NULL, CHECK, foreign keys).
	ErrConstraint = &Error{Code: "exists"}
	// ErrTimeout: a transaction idled for 5 s and was taken back.
	ErrTimeout = &Error{Code: "timeout"}
	// ErrLimit: the storage is full, or an answer too large.
	ErrLimit = &Error{Code: "limit"}
	// ErrUsage: a wrong statement, among others.
	ErrUsage = &Error{Code: "usage"}
	// ErrUnreachable: no such peer.
	ErrUnreachable = &Error{Code: "unreachable"}
	// ErrClosed: it is over, or this server is not public and calls no peers.
	ErrClosed = &Error{Code: "closed"}
	// ErrNotFound: there is no such file.
	ErrNotFound = &Error{Code: "not_found"}
)
