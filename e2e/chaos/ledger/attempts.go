package ledger

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
)

// Noter writes the attempts of a server to a file, one line when a request was received and one when it ended. Each line is one write, so
// that a killed server loses none.
type Noter struct {
	mu   sync.Mutex
	file *os.File // guarded by mu
}

// NewNoter appends to a file.
func NewNoter(path string) (*Noter, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return &Noter{file: f}, err
}

// Note writes an attempt as it is now.
func (n *Noter) Note(a Attempt) {
	line, err := json.Marshal(a)
	if err != nil {
		panic("BUG: an attempt is no JSON: " + err.Error())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	_, _ = n.file.Write(append(line, '\n')) // a lost line is found: its request was answered by no server
}

// ReadAttempts returns the attempts in a file of Note, in the order in which they were received.
func ReadAttempts(path string) ([]Attempt, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAttempts(f)
}

// readAttempts joins the two lines of each attempt. An attempt is known by its request, its process and when it was received.
func readAttempts(r io.Reader) (all []Attempt, err error) {
	type key struct {
		id       string
		life     int
		received int64
	}
	at := map[key]int{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var a Attempt
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return nil, fmt.Errorf("line %d of the attempts: %w", len(all)+1, err)
		}
		k := key{a.ID, a.Life, a.At.UnixNano()}
		if i, known := at[k]; known {
			all[i] = a
			continue
		}
		at[k] = len(all)
		all = append(all, a)
	}
	slices.SortStableFunc(all, func(a, b Attempt) int { return a.At.Compare(b.At) })
	return all, lines.Err()
}
