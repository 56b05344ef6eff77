package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"tether/files"
)

// Limits of a file.
const (
	maxFile   = 4 << 20 // bytes
	maxKeys   = 10_000
	maxName   = 64 // bytes
	maxHashes = 2  // of one name: the old and the new hash, while a key is replaced
	maxLimit  = 1_000_000
)

// Open reads the keys in file. Each line has a name and the SHA-256 of the key in hex, with blanks between. A name is
// 1..64 bytes of visible ASCII. A second hash in the line is another key of that name, for the time in which one key
// replaces the other. Two words may limit the requests of the name, max_in_flight=N and requests_per_minute=N. Empty lines and lines that begin with # are skipped. Errors give the number of the line and no
// part of its text, which may be a key.
func Open(file string) (*Keys, error) {
	k := &Keys{file: file}
	var err error
	set := files.Set{Paths: []string{file}, What: "a file with API keys", Max: maxFile}
	if k.follower, err = files.NewFollower(set, k.use); err != nil {
		return nil, err
	}
	return k, nil
}

// use brings the keys of a content of the file into force, or returns what is wrong with the content.
func (k *Keys) use(contents [][]byte) error {
	found, err := parse(contents[0])
	if err != nil {
		return fmt.Errorf("%q: %w", k.file, err)
	}
	k.table.Store(found.inherit(k.table.Load())) // who stays keeps the counts
	return nil
}

// parsing is what the lines so far have said.
type parsing struct {
	table  *table
	names  map[string]int            // number of the line that has the name
	hashes map[[sha256.Size]byte]int // number of the line that has the hash
}

func parse(text []byte) (*table, error) {
	p := parsing{table: &table{callers: map[string]*Caller{}, limits: map[string]limits{}, byPrefix: map[uint64][]key{}}, names: map[string]int{}, hashes: map[[sha256.Size]byte]int{}}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		words := bytes.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if err := p.line(number, words); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if len(p.table.names) == 0 {
		return nil, errors.New("no key in it, want a line NAME SHA-256 for each")
	}
	return p.table, nil
}

// line adds a name with its hashes and limits.
func (p *parsing) line(number int, words [][]byte) error {
	name, hashes, settings := string(words[0]), words[1:], [][]byte(nil)
	if first := slices.IndexFunc(hashes, isSetting); first >= 0 {
		hashes, settings = hashes[:first], hashes[first:]
	}
	switch {
	case len(hashes) < 1 || len(hashes) > maxHashes:
		return fmt.Errorf("want NAME and one or %d SHA-256 in hex", maxHashes)
	case !validName(name):
		return fmt.Errorf("want a name of 1..%d bytes of visible ASCII", maxName)
	case p.names[name] > 0:
		return fmt.Errorf("the name is that of line %d already", p.names[name])
	case len(p.table.names) == maxKeys:
		return fmt.Errorf("want at most %d names", maxKeys)
	}
	of, err := parseLimits(settings)
	if err != nil {
		return err
	}
	owner := &Caller{name: name}
	p.names[name] = number
	p.table.names = append(p.table.names, name)
	p.table.callers[name], p.table.limits[name] = owner, of
	for _, word := range hashes {
		if err := p.hash(number, owner, word); err != nil {
			return err
		}
	}
	return nil
}

// hash adds a key of the owner.
func (p *parsing) hash(number int, owner *Caller, word []byte) error {
	var hash [sha256.Size]byte
	if len(word) != hex.EncodedLen(len(hash)) {
		return errHash
	}
	if _, err := hex.Decode(hash[:], word); err != nil {
		return errHash // the text of err shows a byte of the word
	}
	if first := p.hashes[hash]; first > 0 {
		return fmt.Errorf("the hash is in line %d already", first)
	}
	p.hashes[hash] = number
	p.table.add(owner, hash)
	return nil
}

// limits are those of one name, 0 for none.
type limits struct{ inFlight, perMinute int }

func isSetting(word []byte) bool { return bytes.IndexByte(word, '=') >= 0 }

// parseLimits reads the words after the hashes. An error shows no word: it may be a key, which may end with an equals sign.
func parseLimits(words [][]byte) (l limits, err error) {
	for _, word := range words {
		name, number, _ := bytes.Cut(word, []byte{'='})
		n, err := strconv.ParseUint(string(number), 10, 32)
		var one *int
		switch string(name) {
		case "max_in_flight":
			one = &l.inFlight
		case "requests_per_minute":
			one = &l.perMinute
		}
		if one == nil || err != nil || n < 1 || n > maxLimit || *one != 0 {
			return limits{}, errLimit
		}
		*one = int(n)
	}
	return l, nil
}

var errLimit = fmt.Errorf("want max_in_flight=N and requests_per_minute=N after the hashes, each once or not at all, and N of 1..%d", maxLimit)

var errHash = fmt.Errorf("want a SHA-256 in hex, %d digits, and never the key itself", hex.EncodedLen(sha256.Size))

func validName(name string) bool {
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(name) <= maxName
}
